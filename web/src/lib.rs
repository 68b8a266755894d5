//! The engine in a web page.
