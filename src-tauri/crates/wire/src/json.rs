//! Appending JSON text to a buffer. Not a serializer: the callers know the shape, this knows commas and escapes.

use std::fmt::Write;

/// Appends `value` by its display form; for numbers, booleans and names that need no escape.
pub(crate) fn push(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a `String` cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends `text` as a JSON string.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Everything that needs an escape is one ASCII byte, so that every cut falls between characters.
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        push_escape(out, rest.as_bytes()[at]);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn push_escape(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        0x08 => out.push_str("\\b"),
        b'\t' => out.push_str("\\t"),
        b'\n' => out.push_str("\\n"),
        0x0c => out.push_str("\\f"),
        b'\r' => out.push_str("\\r"),
        other => push(out, format_args!("\\u{other:04x}")),
    }
}

/// Appends `items` with commas between them, each as `append` writes it.
pub(crate) fn push_each<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut append: impl FnMut(&mut String, T),
) {
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        append(out, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_whatever_characters_it_has() {
        let text: String = (0..0x300).filter_map(char::from_u32).chain("😀\\\"".chars()).collect();
        let mut out = String::new();
        push_text(&mut out, &text);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        assert_eq!(out, serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn commas_stand_only_between_items() {
        let mut out = String::new();
        push_each(&mut out, [1, 2, 3], push);
        assert_eq!(out, "1,2,3");
    }
}
