//! Which players belong together: patterns that make groups, and partitions into unions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Players whose id fits a pattern are one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct GroupRule {
    /// `*` stands for any characters, `?` for one.
    pub pattern: String,
    /// Name of the group.
    pub name: String,
}

impl std::str::FromStr for GroupRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('=') {
            Some((pattern, name)) if !pattern.is_empty() && !name.is_empty() => {
                Ok(Self { pattern: pattern.to_owned(), name: name.to_owned() })
            }
            _ => Err("expected GLOB=NAME, for instance 'r0*=row0'".to_owned()),
        }
    }
}

impl TryFrom<String> for GroupRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<GroupRule> for String {
    fn from(rule: GroupRule) -> Self {
        format!("{}={}", rule.pattern, rule.name)
    }
}

impl GroupRule {
    /// Whether the pattern fits a whole id.
    pub fn fits(&self, id: &str) -> bool {
        fits_pattern(&self.pattern, id)
    }
}

/// Whether a pattern, in which `*` stands for any characters and `?` for one, fits a whole name.
pub fn fits_pattern(pattern: &str, name: &str) -> bool {
    let (pattern, id): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut i) = (0, 0);
    // Where the last star stands, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while i < id.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, i));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == '?' || *c == id[i]) {
            (p, i) = (p + 1, i + 1);
        } else if let Some((at, reach)) = star {
            (p, i) = (at + 1, reach + 1);
            star = Some((at, reach + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How players are divided into unions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Partition {
    /// Unions by name; players in none are unions of their own.
    Named(BTreeMap<String, Vec<String>>),
    /// By what ids begin with.
    By(PartitionRule),
}

/// A rule that makes a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PartitionRule {
    /// Ids up to their last separator, or else up to their last letters and number.
    #[serde(rename = "by-prefix")]
    ByPrefix,
}

impl Partition {
    /// Unions by name.
    ///
    /// # Errors
    /// A player in two unions or twice in one, and unions of nobody, in words.
    pub fn named(unions: BTreeMap<String, Vec<String>>) -> Result<Self, String> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, players) in &unions {
            if players.is_empty() {
                return Err(format!("union '{name}' has no player"));
            }
            for player in players {
                if let Some(other) = seen.insert(player, name) {
                    return Err(format!("'{player}' is in union '{other}' and again in '{name}'"));
                }
            }
        }
        Ok(Self::Named(unions))
    }

    /// The union of a player.
    pub(super) fn union_of<'a>(&'a self, player: &'a str) -> &'a str {
        match self {
            Self::Named(unions) => {
                let own = unions.iter().find(|(_, players)| players.iter().any(|other| other == player));
                own.map_or(player, |(name, _)| name)
            }
            Self::By(PartitionRule::ByPrefix) => prefix(player),
        }
    }
}

/// Everything before the last separator; without one everything before the last letters and the number after them; without
/// those the whole.
fn prefix(id: &str) -> &str {
    if let Some(place) = id.rfind(['.', '/', ':', '_', '-']).filter(|place| *place > 0) {
        return &id[..place];
    }
    let letters = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let before = letters.trim_end_matches(|c: char| !c.is_ascii_digit());
    match (before.is_empty(), letters.is_empty()) {
        (false, _) => before,
        (true, false) => letters,
        (true, true) => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_ids() {
        let fits = |pattern: &str, id: &str| GroupRule { pattern: pattern.into(), name: "g".into() }.fits(id);
        for (pattern, id) in [
            ("r0*", "r0c1"),
            ("*", ""),
            ("r?c0", "r1c0"),
            ("*c*1", "r0c11"),
            ("a**b", "ab"),
            ("r0c0", "r0c0"),
        ] {
            assert!(fits(pattern, id), "{pattern} {id}");
        }
        for (pattern, id) in [("r0*", "r1c0"), ("r?c0", "r10c0"), ("r0", "r0c0"), ("", "a"), ("*b", "abc")] {
            assert!(!fits(pattern, id), "{pattern} {id}");
        }
        assert_eq!("a=b=c".parse::<GroupRule>(), Ok(GroupRule { pattern: "a=b".into(), name: "c".into() }));
        assert!("a=".parse::<GroupRule>().is_err() && "a".parse::<GroupRule>().is_err());
    }

    #[test]
    fn prefixes_of_ids() {
        for (id, expected) in [
            ("r0c1", "r0"),
            ("r10c22", "r10"),
            ("encoder.3", "encoder"),
            ("a/b/c", "a/b"),
            ("layer12", "layer"),
            ("stem", "stem"),
            ("12", "12"),
            ("upper_left", "upper"),
            ("_x", "_x"),
        ] {
            assert_eq!(prefix(id), expected, "{id}");
        }
    }

    #[test]
    fn a_player_belongs_to_one_union() {
        let named = |unions: &[(&str, &[&str])]| {
            let owned = |players: &[&str]| players.iter().map(|id| (*id).to_owned()).collect();
            Partition::named(
                unions.iter().map(|(name, players)| ((*name).to_owned(), owned(players))).collect(),
            )
        };
        assert!(named(&[("x", &["a", "b"]), ("y", &["c"])]).is_ok());
        assert!(
            named(&[("x", &["a", "b"]), ("y", &["b"])])
                .is_err_and(|error| error.contains("'b' is in union 'x'"))
        );
        assert!(named(&[("x", &[])]).is_err());
    }
}
