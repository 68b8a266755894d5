//! The name that was probably meant.

/// The one of `names` that `given` is probably a slip of.
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(given, name);
    names.into_iter().min_by_key(distance).filter(|name| distance(name) <= given.len().div_ceil(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let names = ["epochs", "batch-size", "seed"];
        assert_eq!(nearest("epoch", names), Some("epochs"));
        assert_eq!(nearest("batch_size", names), Some("batch-size"));
        assert_eq!(nearest("momentum", names), None);
    }
}
