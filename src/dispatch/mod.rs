//! One lane per webhook that is on: what is sent, when, and what follows from how it went.
