//! What web pages of several origins can do here, in a real browser.
