//! Parts of a page that a program writes, between markers: `<!-- name -->` and `<!-- end of name -->`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Replaces what is between the markers of that name.
///
/// # Errors
/// When the page cannot be read or written, or lacks the markers.
pub fn replace(page: &Path, name: &str, new: impl FnOnce(&str) -> String) -> Result<(), String> {
    let (begin, end) = (
        format!("<!-- {name} -->"),
        format!("<!-- end of {name} -->"),
    );
    let text = fs::read_to_string(page).map_err(|e| format!("{}: {e}", page.display()))?;
    let parts = text.split_once(&begin);
    let parts = parts.and_then(|(head, rest)| Some((head, rest.split_once(&end)?)));
    let Some((head, (old, tail))) = parts else {
        return Err(format!("{}: no {begin} .. {end}", page.display()));
    };
    let text = format!("{head}{begin}\n{}\n{end}{tail}", new(old));
    fs::write(page, text).map_err(|e| format!("{}: {e}", page.display()))
}

/// The date, as `date` prints it.
pub fn today() -> String {
    let output = Command::new("date").arg("+%Y-%m-%d").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string());
    text.unwrap_or_default()
}
