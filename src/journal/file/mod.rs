//! The embedded journal: segment files of our own.
