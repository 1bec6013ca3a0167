//! The pictures of docs/gallery.md are what the commands above them draw.

use std::path::Path;
use std::process::Command;

/// Where the gallery keeps its pictures.
const FOLDER: &str = "docs/gallery/";

/// Commands of the gallery, each with the picture it draws.
fn commands() -> Vec<(Vec<String>, String)> {
    let text = std::fs::read_to_string("docs/gallery.md").expect("the gallery");
    let lines = text.lines().filter_map(|line| line.strip_prefix("simic "));
    let split = |line: &str| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let picture = words.pop().expect("a name");
        (words, picture)
    };
    lines.map(split).collect()
}

#[test]
fn the_gallery_shows_what_its_commands_draw() {
    let folder = tempfile::tempdir().expect("a folder");
    let is_blessed = std::env::var_os("SIMIC_BLESS").is_some();
    let commands = commands();
    for (words, picture) in &commands {
        let name = picture.strip_prefix(FOLDER).expect("a picture of the gallery");
        let drawn = folder.path().join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_simic"))
            .args(words)
            .arg(&drawn)
            .arg("--no-config")
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{picture}: {}", String::from_utf8_lossy(&output.stderr));
        let bytes = std::fs::read(&drawn).expect("a picture");
        if is_blessed {
            std::fs::create_dir_all(FOLDER).expect("a folder");
            std::fs::write(picture, &bytes).expect("written");
        }
        assert!(
            bytes == std::fs::read(picture).unwrap_or_default(),
            "{picture} is not what its command draws"
        );
    }
    let mut kept = std::fs::read_dir(FOLDER).expect("pictures").filter_map(Result::ok);
    let is_told = |name: &str| commands.iter().any(|(_, picture)| Path::new(picture).ends_with(name));
    assert!(
        kept.all(|entry| is_told(&entry.file_name().to_string_lossy())),
        "a picture that no command draws"
    );
}
