//! What may be a znode's path (Apache's `PathUtils.validatePath`).

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("path is empty")]
    Empty,
    #[error("path does not start with /")]
    Relative,
    #[error("path ends with /")]
    TrailingSlash,
    #[error("empty node name at {0}")]
    EmptyName(usize),
    #[error("relative name . or .. at {0}")]
    DotName(usize),
    #[error("character U+{0:04X} is not allowed")]
    Character(u32),
}

/// Checks a whole path: absolute, no empty, `.` or `..` component, no trailing slash, no
/// control, surrogate, private-use or non-character.
pub fn validate(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    if path.len() == 1 {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    let mut at = 1;
    for name in path[1..].split('/') {
        match name {
            "" => return Err(PathError::EmptyName(at)),
            "." | ".." => return Err(PathError::DotName(at)),
            _ => {}
        }
        if let Some(c) = name.chars().find(|c| is_forbidden(*c)) {
            return Err(PathError::Character(c as u32));
        }
        at += name.len() + 1;
    }
    Ok(())
}

/// Splits at the last slash: `/a/b` is `("/a", "b")`, `/a` is `("/", "a")`. `None` without slash.
pub fn parent_and_name(path: &str) -> Option<(&str, &str)> {
    let at = path.rfind('/')?;
    let parent = if at == 0 { "/" } else { &path[..at] };
    Some((parent, &path[at + 1..]))
}

/// Supplementary characters are pairs of surrogates to Java, so none passes.
fn is_forbidden(c: char) -> bool {
    matches!(c as u32, 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_table_of_apache() {
        for ok in ["/", "/a", "/a/b", "/.a", "/...", "/ ", "/\u{f900}", "/a.b", "/\u{ffef}"] {
            assert_eq!(validate(ok), Ok(()), "{ok:?}");
        }
        for bad in [
            "",
            "a",
            "//",
            "/a/",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/\0",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{fffd}",
            "/\u{1f600}",
        ] {
            assert!(validate(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_splits_at_its_last_slash() {
        assert_eq!(parent_and_name("/a/b"), Some(("/a", "b")));
        assert_eq!(parent_and_name("/a"), Some(("/", "a")));
        assert_eq!(parent_and_name("/"), Some(("/", "")));
        assert_eq!(parent_and_name("a"), None);
    }
}
