//! Files that people name and that have no rows to read: known by their first bytes, so that the error says what they are.

use std::path::Path;

/// What a file is and what to do instead, by its name and its first bytes.
pub(in crate::records) fn foreign(path: &Path, head: &[u8]) -> Option<(&'static str, &'static str)> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    // Builds with the feature read it before anything is asked here.
    if head.starts_with(b"\x89HDF\r\n\x1a\n") {
        return Some((
            "HDF5, which this build does not read",
            "builds with the feature hdf5 do, released ones among them; or export it: a Minari data set with \
             data_format=\"arrow\", others as Parquet with h5py and pandas",
        ));
    }
    if name.contains(".tfevents.") {
        return Some((
            "TensorBoard events",
            "they hold curves, not steps or coalitions: name the recording itself, or guard them with simic check record",
        ));
    }
    if name.contains(".tfrecord") {
        return Some(("TFRecord", "write it as Parquet, or convert the data set to LeRobot's layout"));
    }
    if head.starts_with(b"#{")
        && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
    {
        return Some((
            "figures of whole episodes (a monitor's)",
            "it has a row for each episode, not for each step: name the recording of steps, or guard them with simic check record",
        ));
    }
    if matches!(&name[..], "progress.csv" | "result.json") {
        return Some((
            "figures of iterations (a trainer's log)",
            "it has a row for each iteration, not for each step: name the recording of steps, or guard them with simic check record",
        ));
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"\x93NUMPY") {
        return Some((
            "NumPy or zipped data",
            "write its arrays as Parquet; statistics of a normalizer go to normalize verify --state",
        ));
    }
    None
}

/// Whether a file that nothing is read from is worth naming where a folder has nothing else.
pub(in crate::records) fn is_worth_naming(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let endings = [".hdf5", ".h5", ".npz", ".tfrecord"];
    name.contains(".tfevents.")
        || name == "result.json"
        || name.contains(".tfrecord-")
        || endings.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_rows_are_known_by_name_or_first_bytes() {
        let of = |name: &str, head: &[u8]| foreign(Path::new(name), head).map(|(format, _)| format);
        assert_eq!(
            of("a/main_data.hdf5", b"\x89HDF\r\n\x1a\n\0"),
            Some("HDF5, which this build does not read")
        );
        assert_eq!(of("events.out.tfevents.17.host", b"\x18\0"), Some("TensorBoard events"));
        assert_eq!(of("d-train.tfrecord-00000-of-00002", b""), Some("TFRecord"));
        assert!(of("0.monitor.csv", b"#{\"t_start\": 1}\nr,l,t\n").is_some());
        assert!(of("a.npz", b"PK\x03\x04").is_some());
        assert_eq!(of("a.csv", b"a,b\n"), None);
        assert_eq!(of("a.parquet", b"PAR1"), None);
        assert!(is_worth_naming(Path::new("x/data/main_data.hdf5")));
        assert!(!is_worth_naming(Path::new("x/notes.txt")));
    }
}
