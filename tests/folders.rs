//! Folders that tests change copies of.

use std::path::Path;

/// Copies a folder with everything below it.
pub(crate) fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable").path();
        let to = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copied(&entry, &to);
        } else {
            std::fs::copy(&entry, &to).expect("copied");
        }
    }
}
