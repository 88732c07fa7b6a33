//! The name somebody probably meant.

/// The word in `words` nearest to `text`, if one is near enough to be what was meant.
pub fn nearest<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let allowed = (text.chars().count() / 2).max(2);
    let scored = words.into_iter().map(|w| (strsim::damerau_levenshtein(&text, &w.to_lowercase()), w));
    scored.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= allowed).map(|(_, word)| word)
}

/// "did you mean X? " when there is an X, then what there is.
pub(crate) fn hint<'a>(text: &str, what: &str, words: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let all: Vec<&str> = words.clone().into_iter().collect();
    let list = if all.is_empty() { format!("there are no {what}") } else { format!("{what}: {}", all.join(", ")) };
    match nearest(text, words) {
        Some(near) => format!("did you mean {near}? {list}"),
        None => list,
    }
}
