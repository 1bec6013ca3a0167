//! Folders that a search enters.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders entered so far. Behind links each is entered once: links that lead across each other (as below /sys) would else be
/// followed in every combination.
#[derive(Debug, Default)]
pub(super) struct Entered {
    has_links: bool,
    real: BTreeSet<PathBuf>,
}

impl Entered {
    /// Whether a search goes on with an entry: with all but folders behind links that it has been in.
    pub(super) fn enters(&mut self, entry: &walkdir::DirEntry) -> bool {
        if !entry.file_type().is_dir() {
            return true;
        }
        self.has_links |= entry.path_is_symlink();
        !self.has_links || self.is_new(entry.path())
    }

    fn is_new(&mut self, folder: &Path) -> bool {
        let Ok(real) = folder.canonicalize() else { return true };
        let is_behind_link = std::path::absolute(folder).is_ok_and(|path| path != real);
        self.real.insert(real) || !is_behind_link
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_across_each_other_are_followed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("there");
        // Every folder has a link to every other: their paths are as many as orders of twelve.
        let names: Vec<PathBuf> = (0..12).map(|i| folder.join(format!("f{i}"))).collect();
        for name in &names {
            std::fs::create_dir(name).expect("made");
            std::fs::write(name.join("rows.csv"), "").expect("written");
        }
        for name in &names {
            for other in names.iter().filter(|other| *other != name) {
                let link = name.join(format!("to_{}", other.file_name().expect("a name").to_string_lossy()));
                symlink(other, link).expect("linked");
            }
        }
        let mut entered = Entered::default();
        let walk = walkdir::WalkDir::new(&folder).follow_links(true).sort_by_file_name().into_iter();
        let walk = walk.filter_entry(|entry| entered.enters(entry)).filter_map(Result::ok);
        let found: Vec<PathBuf> =
            walk.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect();
        assert!(names.iter().all(|name| found.contains(&name.join("rows.csv"))), "{found:?}");
        assert!(found.len() <= 2 * names.len(), "{}", found.len());
    }
}
