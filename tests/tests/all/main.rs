//! End-to-end tests: each drives a really running server with a real engine, as clients do.
