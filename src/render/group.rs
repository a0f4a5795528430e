//! Values with equal keys, together.
//!
//! **Owns** the order of the groups. **Does not** know what is grouped.

/// The groups, and the values of each, in the order in which they come.
pub(super) fn group_by_key<K: PartialEq, V>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}
