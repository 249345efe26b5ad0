//! JSON as ECMAScript writes it, since the clients are written in it: number forms and the order of members.
//! Not canonical JSON: members keep the order in which they came (see `job_id` for the other).

use serde_json::{Map, Number, Value};

use crate::json::{push_each, push_text};

/// Whole numbers up to this size have the same digits in ECMAScript as here.
const EXACT: u64 = 1 << 53;

/// The compact text that `JSON.stringify` gives for `value`.
///
/// It calls itself for nested values. The reader of JSON refuses more than 128 levels, which bounds the depth.
pub(crate) fn stringify(value: &Value) -> String {
    let mut out = String::new();
    append(&mut out, value);
    out
}

fn append(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => push_text(out, text),
        Value::Array(items) => {
            out.push('[');
            push_each(out, items, append);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            push_each(out, in_script_order(members), |out, (name, value)| {
                push_text(out, name);
                out.push(':');
                append(out, value);
            });
            out.push('}');
        }
    }
}

/// A number as ECMAScript writes it: `1e+21`, and `1` for `1.0`.
pub(crate) fn number_text(number: &Number) -> String {
    if number.as_i64().is_some_and(|whole| whole.unsigned_abs() < EXACT) {
        return number.to_string();
    }
    serde_json_canonicalizer::to_string(number).unwrap_or_else(|_| number.to_string())
}

/// Names that are array indexes come first, by their value; the others keep their order.
fn in_script_order(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut ordered: Vec<_> = members.iter().collect();
    ordered.sort_by_key(|(name, _)| array_index(name).map_or((true, 0), |index| (false, index)));
    ordered
}

fn array_index(name: &str) -> Option<u32> {
    let index: u32 = name.parse().ok()?;
    (index < u32::MAX && index.to_string() == name).then_some(index)
}

/// What ECMAScript's `\s` matches. Differs from Rust's white space in U+0085 and U+FEFF.
pub(crate) fn is_white_space(c: char) -> bool {
    c != '\u{85}' && (c == '\u{feff}' || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        stringify(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn numbers_have_their_script_form() {
        for (text, wanted) in [
            ("1.0", "1"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0.1", "0.1"),
            ("1e-7", "1e-7"),
            ("9007199254740993", "9007199254740992"),
            ("12345678901234567000", "12345678901234567000"),
            ("-5", "-5"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ] {
            assert_eq!(again(text), wanted, "{text}");
        }
    }

    #[test]
    fn members_keep_their_order_but_indexes_come_first() {
        assert_eq!(
            again(r#"{ "b": 1, "10": [ ], "a": {}, "9": null, "01": 2, "4294967295": 3 }"#),
            r#"{"9":null,"10":[],"b":1,"a":{},"01":2,"4294967295":3}"#
        );
    }

    #[test]
    fn text_is_escaped_as_little_as_possible() {
        assert_eq!(again(r#""\u0007\u00e9\/\u007f\n""#), "\"\\u0007é/\u{7f}\\n\"");
    }

    #[test]
    fn white_space_is_that_of_the_script() {
        assert!(
            "\t\n\u{b}\u{c}\r \u{a0}\u{1680}\u{2003}\u{2028}\u{3000}\u{feff}".chars().all(is_white_space)
        );
        assert!(!is_white_space('\u{85}') && !is_white_space('\u{200b}'));
    }
}
