//! Sets of CPU features: what an instruction needs, and what this machine has.

use std::fmt;

/// A set of CPU features.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u32);

macro_rules! features {
    ($($bit:literal $name:ident $text:tt $doc:literal;)*) => {
        impl Features {
            $(#[doc = $doc] pub const $name: Features = Features(1 << $bit);)*

            /// Every feature with its name, in the order of their bits.
            pub const NAMED: &'static [(Features, &'static str)] = &[$((Features::$name, $text)),*];

            /// What this machine has: nothing if it is no x86-64.
            pub fn host() -> Features {
                #[cfg(target_arch = "x86_64")]
                {
                    let mut found = Features::NONE;
                    $(if std::arch::is_x86_feature_detected!($text) { found = found.and(Features::$name); })*
                    found
                }
                #[cfg(not(target_arch = "x86_64"))]
                Features::NONE
            }
        }
    };
}

features! {
    0  AVX       "avx"             "256-bit floats, three-operand forms.";
    1  AVX2      "avx2"            "256-bit integers, gathers, shifts by lane.";
    2  FMA       "fma"             "Fused multiply-add.";
    3  F16C      "f16c"            "Conversions of half precision.";
    4  BMI1      "bmi1"            "`andn`, `blsr`, `tzcnt`.";
    5  BMI2      "bmi2"            "`bzhi`, `mulx`, `shlx`.";
    6  LZCNT     "lzcnt"           "`lzcnt`.";
    7  POPCNT    "popcnt"          "`popcnt`.";
    8  AVX512F   "avx512f"         "512-bit vectors and masks.";
    9  AVX512DQ  "avx512dq"        "64-bit integer products and conversions.";
    10 AVX512VL  "avx512vl"        "EVEX forms of 128 and 256 bits.";
    11 AVX512BW  "avx512bw"        "Bytes and words, masks of 64 bits.";
    12 AVX512CD  "avx512cd"        "`vplzcnt`, `vpconflict`.";
    13 VBMI      "avx512vbmi"      "Permutations of bytes.";
    14 IFMA      "avx512ifma"      "Products of 52 bits.";
    15 VPOPCNTDQ "avx512vpopcntdq" "Population counts of 32 and 64 bits.";
    16 BITALG    "avx512bitalg"    "Population counts of 8 and 16 bits.";
}

impl Features {
    /// The empty set.
    pub const NONE: Features = Features(0);

    /// What the AVX2 tier is built on.
    pub const TIER_AVX2: Features = Features::AVX
        .and(Features::AVX2)
        .and(Features::FMA)
        .and(Features::F16C)
        .and(Features::BMI1)
        .and(Features::BMI2)
        .and(Features::LZCNT)
        .and(Features::POPCNT);

    /// What the AVX-512 tier is built on.
    pub const TIER_AVX512: Features = Features::TIER_AVX2
        .and(Features::AVX512F)
        .and(Features::AVX512DQ)
        .and(Features::AVX512VL)
        .and(Features::AVX512BW);

    /// Both sets together.
    pub const fn and(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }

    /// Are all features of `other` in this set?
    pub const fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Features::NAMED.iter();
        let present = names.filter(|(feature, _)| self.contains(*feature));
        f.debug_set()
            .entries(present.map(|(_, name)| name))
            .finish()
    }
}
