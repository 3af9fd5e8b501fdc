//! Means as Apache rounds them.

/// Rounds half up at the fourth decimal, looking at every digit that the double really has.
pub fn four_decimals(value: f64) -> f64 {
    let text = format!("{value:.40}");
    let point = text.find('.').expect("forty decimals follow a point");
    let (kept, rest) = text.split_at(point + 5);
    let kept: f64 = kept.parse().expect("digits and one point");
    if rest.as_bytes()[0] < b'5' {
        return kept;
    }
    // The next multiple of 0.0001, spelt out and parsed, is the double that Java gets too.
    format!("{:.4}", kept + 0.0001f64.copysign(value)).parse().expect("digits and one point")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_rounded_half_up_at_the_fourth_decimal() {
        for (value, rounded) in [
            (0.0, 0.0),
            (2.0 / 3.0, 0.6667),
            (1.0 / 3.0, 0.3333),
            (0.03125, 0.0313),
            (0.09375, 0.0938),
            (0.00005, 0.0001),
            (0.99995, 1.0),    // The double lies a little above.
            (0.00015, 0.0001), // The double lies a little below.
            (5122.0 / 5004.0, 1.0236),
            (-0.03125, -0.0313),
        ] {
            assert_eq!(four_decimals(value), rounded, "{value}");
        }
    }
}
