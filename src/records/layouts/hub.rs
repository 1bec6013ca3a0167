//! Tables in shards, as the Hub has them: `data/train-00000-of-00003.parquet`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::objects;
use super::super::store_url::is_url_path;
use super::member::{About, Dataset, Member};

/// The place of a file that is called as one of several shards; `splits` are those of its folder.
pub(super) fn member(file: &Path, splits: impl FnOnce(&Path) -> usize) -> Option<Member> {
    let folder = file.parent()?;
    let (split, n_files) = shard(file)?;
    let is_data = folder.file_name().is_some_and(|name| name == "data");
    let root = folder.parent().filter(|_| is_data).unwrap_or(folder).to_owned();
    let run = if splits(folder) > 1 { root.join(&split) } else { root.clone() };
    let dataset =
        Dataset { layout: "sharded", root, n_rows: None, n_files: Some(n_files), about: About::default() };
    Some(Member { dataset: Arc::new(dataset), run, episode: 0, env: 0, n_rows: None })
}

/// How many splits a folder has shards of.
pub(super) fn n_splits(folder: &Path) -> usize {
    let names: Vec<PathBuf> = if is_url_path(folder) {
        objects::names_in(folder).into_iter().map(PathBuf::from).collect()
    } else {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).collect()
    };
    names.iter().filter_map(|name| shard(name)).map(|(split, _)| split).collect::<BTreeSet<_>>().len()
}

/// The split and the number of shards that a file's name tells: `train-00000-of-00003.parquet`.
fn shard(file: &Path) -> Option<(String, u64)> {
    let (rest, n_shards) = file.file_stem()?.to_str()?.rsplit_once("-of-")?;
    let (split, number) = rest.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(number) || !is_number(n_shards) {
        return None;
    }
    Some((split.to_owned(), n_shards.parse().ok()?))
}
