//! `record!`: a struct whose fields are its wire format, in order, without framing.

/// Declares a record; fields are encoded and decoded in the order written.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident<'a> { $($(#[$fmeta:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name<'a> { $($(#[$fmeta])* pub $field: $ty,)* }

        impl<'a> $crate::Encode for $name<'a> {
            fn encode(&self, w: &mut $crate::Writer) {
                $($crate::Encode::encode(&self.$field, w);)*
            }
        }

        impl<'a> $crate::Decode<'a> for $name<'a> {
            const MIN_LEN: usize = 0 $(+ <$ty as $crate::Decode<'a>>::MIN_LEN)*;

            fn decode(r: &mut $crate::Reader<'a>) -> Result<Self, $crate::DecodeError> {
                Ok($name { $($field: $crate::Decode::decode(r)?,)* })
            }
        }
    };
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl $crate::Encode for $name {
            fn encode(&self, w: &mut $crate::Writer) {
                $($crate::Encode::encode(&self.$field, w);)*
            }
        }

        impl<'r> $crate::Decode<'r> for $name {
            const MIN_LEN: usize = 0 $(+ <$ty as $crate::Decode<'r>>::MIN_LEN)*;

            fn decode(r: &mut $crate::Reader<'r>) -> Result<Self, $crate::DecodeError> {
                Ok($name { $($field: $crate::Decode::decode(r)?,)* })
            }
        }
    };
}
