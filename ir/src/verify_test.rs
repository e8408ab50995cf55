//! One bad IR for each rule.
