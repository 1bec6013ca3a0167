//! Settings of a stored result by name, and what differs between two of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// Settings of an analysis by name.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// Everything the numbers depend on besides the input.
    Complete(BTreeMap<String, Value>),
    /// What a document from before settings were stored tells of them.
    Partial(BTreeMap<String, Value>),
}

/// A setting that differs between two results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    /// Name of the setting.
    pub name: String,
    /// Its value before, as JSON.
    pub before: String,
    /// Its value now.
    pub now: String,
}

/// Settings that have more told of a result and leave its numbers as they are.
const TELLING: [&str; 6] =
    ["compare_recorded", "convergence", "ranking", "sources", "target_half_width", "trend"];

impl Settings {
    fn values(&self) -> &BTreeMap<String, Value> {
        match self {
            Self::Complete(values) | Self::Partial(values) => values,
        }
    }

    /// Settings under the names of today: those of the first documents had others.
    fn modern(&self) -> BTreeMap<String, Value> {
        let Self::Partial(values) = self else { return self.values().clone() };
        let mut modern = BTreeMap::new();
        for (name, value) in values {
            match (name.as_str(), value) {
                ("requested_method", _) => drop(modern.insert("method".to_owned(), value.clone())),
                ("direction", _) => drop(modern.insert("better".to_owned(), value.clone())),
                ("flags", Value::Object(flags)) => modern.extend(flags.iter().map(flag_as_setting)),
                _ => drop(modern.insert(name.clone(), value.clone())),
            }
        }
        modern
    }

    /// What differs: all settings that numbers depend on count, or where one side tells only some, those that both tell.
    pub fn differences(&self, now: &Self) -> Vec<SettingChange> {
        let is_partial = matches!(self, Self::Partial(_)) || matches!(now, Self::Partial(_));
        let (mut before, mut now) = (flat(self.modern()), flat(now.modern()));
        if !is_partial {
            // Told once, where the whole rule stands.
            for settings in [&mut before, &mut now] {
                settings.remove("kind");
                settings.remove("momentum");
            }
        }
        for settings in [&mut before, &mut now] {
            settings.retain(|name, _| !TELLING.contains(&name.as_str()));
        }
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let shown = |settings: &BTreeMap<String, Value>, name: &String| {
            settings.get(name).map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        names
            .into_iter()
            .filter(|name| !is_partial || (before.contains_key(*name) && now.contains_key(*name)))
            .filter(|name| before.get(*name) != now.get(*name))
            .map(|name| SettingChange {
                name: name.clone(),
                before: shown(&before, name),
                now: shown(&now, name),
            })
            .collect()
    }
}

/// Settings within settings under names of their own: `rule.memory.momentum`.
fn flat(settings: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut flattened = BTreeMap::new();
    for (name, value) in settings {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                let inner = inner.into_iter().map(|(key, value)| (format!("{name}.{key}"), value));
                flattened.extend(flat(inner.collect()));
            }
            value => drop(flattened.insert(name, value)),
        }
    }
    flattened
}

/// A flag as the first baselines kept it, as the setting it is now.
fn flag_as_setting((flag, value): (&String, &Value)) -> (String, Value) {
    match (flag.as_str(), value) {
        ("no-antithetic", Value::Bool(is_off)) => ("antithetic".to_owned(), Value::Bool(!is_off)),
        ("column", Value::Array(mappings)) => {
            let pairs = mappings.iter().filter_map(Value::as_str).filter_map(|text| text.split_once('='));
            let columns = pairs.map(|(field, name)| (field.to_owned(), Value::from(name))).collect();
            ("columns".to_owned(), Value::Object(columns))
        }
        _ => (flag.replace('-', "_"), value.clone()),
    }
}

/// The fields of a settings value by name.
pub(super) fn by_name(settings: &impl Serialize) -> BTreeMap<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}
