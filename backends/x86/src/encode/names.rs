//! Short names for the cells of the instruction table.

pub(super) use super::row::Map::{M00, M0F, M3A, M38};
pub(super) use super::row::Masking::{MergeZero, No, Required};
pub(super) use super::row::Prefix::{NP, P66, PF2, PF3};
pub(super) use super::row::W::{Size, W0, W1};
use super::row::{Lengths, Tuple};
use crate::Features;

pub(super) const XY: Lengths = Lengths::XY;
pub(super) const XYZ: Lengths = Lengths::XYZ;
pub(super) const Y: Lengths = Lengths::Y;
pub(super) const YZ: Lengths = Lengths::YZ;
pub(super) const Z: Lengths = Lengths::Z;
pub(super) const SCALAR: Lengths = Lengths::SCALAR;
pub(super) const L0: Lengths = Lengths::L0;
pub(super) const L1: Lengths = Lengths::L1;
pub(super) const GPR: Lengths = Lengths::DQ;

pub(super) const BASE: Features = Features::NONE;
pub(super) const AVX: Features = Features::AVX;
pub(super) const AVX2: Features = Features::AVX2;
pub(super) const FMA: Features = Features::FMA;
pub(super) const F16C: Features = Features::F16C;
pub(super) const BMI1: Features = Features::BMI1;
pub(super) const BMI2: Features = Features::BMI2;
pub(super) const LZCNT: Features = Features::LZCNT;
pub(super) const POPCNT: Features = Features::POPCNT;
pub(super) const F: Features = Features::AVX512F;
pub(super) const DQ: Features = Features::AVX512DQ;
pub(super) const BW: Features = Features::AVX512BW;
pub(super) const CD: Features = Features::AVX512CD;
pub(super) const VBMI: Features = Features::VBMI;
pub(super) const IFMA: Features = Features::IFMA;
pub(super) const VPOPCNTDQ: Features = Features::VPOPCNTDQ;
pub(super) const BITALG: Features = Features::BITALG;

pub(super) const F32: Tuple = Tuple::Full(4);
pub(super) const F64: Tuple = Tuple::Full(8);
pub(super) const H32: Tuple = Tuple::Half(4);
pub(super) const FV: Tuple = Tuple::Part(0);
pub(super) const HV: Tuple = Tuple::Part(1);
pub(super) const QV: Tuple = Tuple::Part(2);
pub(super) const EV: Tuple = Tuple::Part(3);
pub(super) const NOTUPLE: Tuple = Tuple::None;
pub(super) const DUP: Tuple = Tuple::Dup;
pub(super) const S1: Tuple = Tuple::Bytes(1);
pub(super) const S2: Tuple = Tuple::Bytes(2);
pub(super) const S4: Tuple = Tuple::Bytes(4);
pub(super) const S8: Tuple = Tuple::Bytes(8);
pub(super) const S16: Tuple = Tuple::Bytes(16);
pub(super) const S32: Tuple = Tuple::Bytes(32);
