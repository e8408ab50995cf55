//! The name the user may have meant.

/// The candidate nearest to `name` by edit distance, if it is near enough to be a slip of the keyboard.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Long names are not typed by hand, and the work is quadratic in the length.
    const MAX_LEN: usize = 64;
    const MAX_CANDIDATES: usize = 2000;
    if name.len() > MAX_LEN {
        return None;
    }
    let limit = match name.chars().count() {
        0..=1 => return None,
        2..=4 => 1,
        5..=7 => 2,
        _ => 3,
    };
    candidates
        .take(MAX_CANDIDATES)
        .filter(|c| c.len() <= MAX_LEN && c.len().abs_diff(name.len()) <= limit && *c != name)
        .map(|c| (distance(name, c), c))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, c)| c)
}

/// `did you mean ..?`
pub fn did_you_mean(candidate: Option<&str>) -> Option<String> {
    candidate.map(|c| format!("did you mean `{c}`?"))
}

/// How to bring a variable into being.
pub fn declare_help(name: &str) -> String {
    if name == "_" {
        "`_` drops a value; give the variable another name".to_string()
    } else {
        format!("declare it with `let {name} = ..;`")
    }
}

/// Edit distance where swapping neighbours counts as one edit.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_far() {
        assert_eq!(distance("sqrt", "sqtr"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(
            nearest("legnth", ["length", "width"].into_iter()),
            Some("length")
        );
        assert_eq!(nearest("x", ["y"].into_iter()), None);
        assert_eq!(nearest("alpha", ["omega"].into_iter()), None);
    }
}
