//! Verdicts on tails.
