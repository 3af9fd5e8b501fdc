//! Cutting a stream into frames, without copying.

/// What stands at the front of the bytes received so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front<'a> {
    /// A whole frame, and how many bytes it took with its length.
    Frame(&'a [u8], usize),
    /// Not all of it is here; so many bytes, length included, would be enough.
    Partial(usize),
    /// A length that no frame may have.
    BadLength(i32),
}

/// Looks at the front of `bytes`. Lengths from 0 to `max` are allowed.
pub(super) fn front(bytes: &[u8], max: usize) -> Front<'_> {
    let Some(head) = bytes.first_chunk::<4>() else { return Front::Partial(4) };
    let len = i32::from_be_bytes(*head);
    match usize::try_from(len) {
        Ok(n) if n <= max => match bytes.get(4..4 + n) {
            Some(frame) => Front::Frame(frame, 4 + n),
            None => Front::Partial(4 + n),
        },
        _ => Front::BadLength(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_cut_off_whole_or_not_at_all() {
        let bytes = [0, 0, 0, 2, 7, 8, 0, 0];
        assert_eq!(front(&bytes, 100), Front::Frame(&[7, 8], 6));
        assert_eq!(front(&bytes[..5], 100), Front::Partial(6));
        assert_eq!(front(&bytes[..3], 100), Front::Partial(4));
        assert_eq!(front(&[0, 0, 0, 0], 100), Front::Frame(&[], 4));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_anything_is_read() {
        assert_eq!(front(&[0xff; 4], 100), Front::BadLength(-1));
        assert_eq!(front(&101i32.to_be_bytes(), 100), Front::BadLength(101));
        assert_eq!(front(&100i32.to_be_bytes(), 100), Front::Partial(104));
    }
}
