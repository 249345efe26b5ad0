//! Files: bringing and fetching them, and names that could lead elsewhere.

mod names;
mod transfer;
