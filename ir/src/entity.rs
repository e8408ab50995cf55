//! Entities: small typed indices that name the parts of a function. `Display` is their text syntax.

use std::fmt;

macro_rules! entities {
    ($($name:ident $prefix:literal $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// Position in the table that owns it.
            pub const fn index(self) -> usize { self.0 as usize }
            /// The entity at a position.
            pub const fn new(index: usize) -> $name { $name(index as u32) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )*};
}

entities! {
    Value "v" "An SSA value: `v3`.";
    Inst "inst" "An instruction: `inst7`.";
    Block "block" "A block of instructions, owned by the function or by one `if` or `loop`: `block1`.";
    FuncRef "fn" "A function of the module: `fn2`.";
    ArrayRef "a" "An array parameter of a kernel: `a0`.";
    LocalRef "l" "A fixed-size array private to an element: `l0`.";
    DimRef "d" "A core dimension of a kernel: `d0`.";
    TrapRef "trap" "A run-time check of the user's program: `trap0`.";
}
