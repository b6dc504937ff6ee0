//! Tests of the whole intake.
