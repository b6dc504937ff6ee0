//! Wiring: open what is kept, start the stages, stop them in reverse order.
