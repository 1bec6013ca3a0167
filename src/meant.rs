//! The name that is meant where another was given.

/// Least similarity (Jaro, 0 to 1) of names that are taken for each other: what clap asks of flags.
const SIMILAR: f64 = 0.7;

/// The same where nothing else says that a name is wrong.
const NEARLY_SAME: f64 = 0.9;

/// The nearest of the names there are, as a question to put behind an error; empty where none is near.
pub(crate) fn question<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(given, known, SIMILAR).map_or_else(String::new, |name| format!("; is {name} meant?"))
}

/// The name that was probably meant, where `given` is none of them.
pub(crate) fn misspelt<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(given, known, NEARLY_SAME).filter(|name| *name != given)
}

fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>, least: f64) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (strsim::jaro(given, name), name));
    let nearest = near.filter(|(similarity, _)| *similarity > least);
    nearest.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_asked_for_and_a_far_one_is_not() {
        let known = ["momentum", "method", "samples"];
        assert_eq!(question("momentun", known), "; is momentum meant?");
        assert_eq!(question("zzz", known), "");
        assert_eq!(misspelt("MOMENTUN", ["MOMENTUM", "METHOD"]), Some("MOMENTUM"));
        assert_eq!(misspelt("MOMENTUM", ["MOMENTUM"]), None);
        assert_eq!(misspelt("MOTHER", ["MOMENTUM", "METHOD"]), None);
    }
}
