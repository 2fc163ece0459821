//! A repository's name and the many ways to write it.
