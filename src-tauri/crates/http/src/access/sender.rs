//! Who says to have sent a request, by its `Origin`.

use axum::http::{HeaderMap, HeaderValue, header};
use deskgrid_sites::Origin;

use super::AccessRules;

/// The sender, as the request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// No page, or one whose browser leaves that out.
    Program,
    /// One of our own pages.
    Ours(HeaderValue),
    /// A page of this origin.
    Page(Origin),
    /// Something that calls itself so, or several things at once.
    Nameless(String),
}

impl Sender {
    pub(super) fn of(rules: &AccessRules, headers: &HeaderMap) -> Self {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(first) = origins.next() else { return Self::Program };
        let text = String::from_utf8_lossy(first.as_bytes());
        if origins.next().is_some() {
            return Self::Nameless("several pages at once".to_owned());
        }
        if rules.is_own_origin(&text) {
            return Self::Ours(first.clone());
        }
        match Origin::of_browser(&text) {
            Ok(origin) => Self::Page(origin),
            Err(_) => Self::Nameless(text.chars().take(200).collect()),
        }
    }
}
