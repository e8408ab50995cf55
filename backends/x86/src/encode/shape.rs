//! Operand lists, by name: what the rows of the table have in common.
//!
//! In a name, `V`, `H`, `Q` and `E` are a vector of the width and a half, a quarter, an eighth of it, `X` is one of
//! 128 bits, `K` a mask, `G` a general register; `M` behind one allows memory, `MEM` is memory only, `I` an immediate;
//! `A` is a first operand that is read too, `W` a first operand in `vvvv`.

use super::row::{Access, Kind, Place, Slot};

const fn w(place: Place, kind: Kind) -> Slot {
    Slot {
        place,
        kind,
        access: Access::Write,
    }
}

const fn r(place: Place, kind: Kind) -> Slot {
    Slot {
        place,
        kind,
        access: Access::Read,
    }
}

const fn b(place: Place, kind: Kind) -> Slot {
    Slot {
        place,
        kind,
        access: Access::Both,
    }
}

macro_rules! shapes {
    ($($doc:literal $name:ident = $($access:ident($place:ident $(($n:literal))? $kind:ident $(($shift:literal))?)),*;)*) => {
        $(#[doc = $doc] pub(super) const $name: &[Slot] = &[$($access(Place::$place $(($n))?, Kind::$kind $(($shift))?)),*];)*
    };
}

shapes! {
    "`v, v/m`." V_VM = w(Reg V(0)), r(Rm V(0));
    "`v, v/m, imm`." V_VM_I = w(Reg V(0)), r(Rm V(0)), r(Imm(1) No);
    "`v, v, v/m`." V_V_VM = w(Reg V(0)), r(Vvvv V(0)), r(Rm V(0));
    "`v, v, v/m, imm`." V_V_VM_I = w(Reg V(0)), r(Vvvv V(0)), r(Rm V(0)), r(Imm(1) No);
    "`v, v, v/m, v`, the last one in the immediate." V_V_VM_V = w(Reg V(0)), r(Vvvv V(0)), r(Rm V(0)), r(Is4 V(0));
    "`v, v, v/m`; reads the first too." A_V_VM = b(Reg V(0)), r(Vvvv V(0)), r(Rm V(0));
    "`v, v, v/m, imm`; reads the first too." A_V_VM_I = b(Reg V(0)), r(Vvvv V(0)), r(Rm V(0)), r(Imm(1) No);
    "`k, v, v/m`." K_V_VM = w(Reg K), r(Vvvv V(0)), r(Rm V(0));
    "`k, v, v/m, imm`." K_V_VM_I = w(Reg K), r(Vvvv V(0)), r(Rm V(0)), r(Imm(1) No);
    "`k, v/m, imm`." K_VM_I = w(Reg K), r(Rm V(0)), r(Imm(1) No);
    "`v, v/m`, sets flags." S_S = r(Reg V(0)), r(Rm V(0));
    "`v, v, x/m`." V_V_XM = w(Reg V(0)), r(Vvvv V(0)), r(Rm Xmm);
    "`v, v, x/m, imm`." V_V_XM_I = w(Reg V(0)), r(Vvvv V(0)), r(Rm Xmm), r(Imm(1) No);
    "`v, v, half/m, imm`." V_V_HM_I = w(Reg V(0)), r(Vvvv V(0)), r(Rm V(1)), r(Imm(1) No);
    "`v, v/m, imm`, the first in `vvvv`." W_VM_I = w(Vvvv V(0)), r(Rm V(0)), r(Imm(1) No);
    "`v, half/m`." V_HM = w(Reg V(0)), r(Rm V(1));
    "`v, quarter/m`." V_QM = w(Reg V(0)), r(Rm V(2));
    "`v, eighth/m`." V_EM = w(Reg V(0)), r(Rm V(3));
    "`half, v/m`." H_VM = w(Reg V(1)), r(Rm V(0));
    "`half/m, v`." HM_V = w(Rm V(1)), r(Reg V(0));
    "`quarter/m, v`." QM_V = w(Rm V(2)), r(Reg V(0));
    "`eighth/m, v`." EM_V = w(Rm V(3)), r(Reg V(0));
    "`half/m, v, imm`." HM_V_I = w(Rm V(1)), r(Reg V(0)), r(Imm(1) No);
    "`x/m, v, imm`." XM_V_I = w(Rm Xmm), r(Reg V(0)), r(Imm(1) No);
    "`v, x/m`." V_XM = w(Reg V(0)), r(Rm Xmm);
    "`v, m`." V_MEM = w(Reg V(0)), r(RmMem No);
    "`m, v`." MEM_V = w(RmMem No), r(Reg V(0));
    "`v, v, m`." V_V_MEM = w(Reg V(0)), r(Vvvv V(0)), r(RmMem No);
    "`m, v, v`." MEM_V_V = w(RmMem No), r(Vvvv V(0)), r(Reg V(0));
    "`v, v, v`." V_V_R = w(Reg V(0)), r(Vvvv V(0)), r(RmReg V(0));
    "`v, v`, the first in `rm`." R_V = w(RmReg V(0)), r(Reg V(0));
    "`v, k`." V_K = w(Reg V(0)), r(RmReg K);
    "`k, v`." K_V = w(Reg K), r(RmReg V(0));
    "`v, r`." V_G32 = w(Reg V(0)), r(RmReg G32);
    "`x, r/m`." X_G32M = w(Reg Xmm), r(Rm G32);
    "`r/m, x`." G32M_X = w(Rm G32), r(Reg Xmm);
    "`x, x, r/m`." X_X_G32M = w(Reg Xmm), r(Vvvv Xmm), r(Rm G32);
    "`r, x/m`." G32_XM = w(Reg G32), r(Rm Xmm);
    "`k, r`." K_G32 = w(Reg K), r(RmReg G32);
    "`r, k`." G32_K = w(Reg G32), r(RmReg K);
    "`v, r`." V_G64 = w(Reg V(0)), r(RmReg G64);
    "`x, r/m`." X_G64M = w(Reg Xmm), r(Rm G64);
    "`r/m, x`." G64M_X = w(Rm G64), r(Reg Xmm);
    "`x, x, r/m`." X_X_G64M = w(Reg Xmm), r(Vvvv Xmm), r(Rm G64);
    "`r, x/m`." G64_XM = w(Reg G64), r(Rm Xmm);
    "`k, r`." K_G64 = w(Reg K), r(RmReg G64);
    "`r, k`." G64_K = w(Reg G64), r(RmReg K);
    "`r, v`." G32_R = w(Reg G32), r(RmReg V(0));
    "`x, x, r/m, imm`." X_X_G32M_I = w(Reg Xmm), r(Vvvv Xmm), r(Rm G32), r(Imm(1) No);
    "`x, x, r/m, imm`." X_X_G64M_I = w(Reg Xmm), r(Vvvv Xmm), r(Rm G64), r(Imm(1) No);
    "`r/m, x, imm`." G32M_X_I = w(Rm G32), r(Reg Xmm), r(Imm(1) No);
    "`r/m, x, imm`." G64M_X_I = w(Rm G64), r(Reg Xmm), r(Imm(1) No);
    "VEX gather: `v, vsib, mask`; the mask is zero after it." GATHER_V = b(Reg V(0)), r(Vsib V(0)), b(Vvvv V(0));
    "VEX gather with half as wide indices." GATHER_H = b(Reg V(0)), r(Vsib V(1)), b(Vvvv V(0));
    "VEX gather with twice as wide indices." GATHER_W = b(Reg V(1)), r(Vsib V(0)), b(Vvvv V(1));
    "EVEX gather: `v {k}, vsib`; the mask is zero after it." GATHERK_V = b(Reg V(0)), r(Vsib V(0));
    "EVEX gather with half as wide indices." GATHERK_H = b(Reg V(0)), r(Vsib V(1));
    "EVEX gather with twice as wide indices." GATHERK_W = b(Reg V(1)), r(Vsib V(0));
    "Scatter: `vsib {k}, v`; the mask is zero after it." SCATTER_V = r(Vsib V(0)), r(Reg V(0));
    "Scatter with half as wide indices." SCATTER_H = r(Vsib V(1)), r(Reg V(0));
    "Scatter with twice as wide indices." SCATTER_W = r(Vsib V(0)), r(Reg V(1));
    "`k, k/m`." K_KM = w(Reg K), r(Rm K);
    "`m, k`." MEM_K = w(RmMem No), r(Reg K);
    "`k, k`." K_K = w(Reg K), r(RmReg K);
    "`k, k, k`." K_K_K = w(Reg K), r(Vvvv K), r(RmReg K);
    "`k, k, imm`." K_K_I = w(Reg K), r(RmReg K), r(Imm(1) No);
    "`k, k`, sets flags." TEST_K_K = r(Reg K), r(RmReg K);
    "No operands." NONE = ;
    "`m`." MEM = r(RmMem No);
    "`m`, written." MEM_WRITE = w(RmMem No);
    "`r, r/m`." G_GM = w(Reg G), r(Rm G);
    "`r, r/m`; reads the first too." A_GM = b(Reg G), r(Rm G);
    "`r, r/m`, sets flags." TEST_G_GM = r(Reg G), r(Rm G);
    "`r/m, r`, sets flags." TEST_GM_G = r(Rm G), r(Reg G);
    "`r, m`." G_MEM = w(Reg G), r(RmMem No);
    "`m, r`." MEM_G = w(RmMem No), r(Reg G);
    "`m8, r`." MEM_G8 = w(RmMem No), r(Reg G8);
    "`m16, r`." MEM_G16 = w(RmMem No), r(Reg G16);
    "`m, r`; reads the memory too." UPDATE_MEM_G = b(RmMem No), r(Reg G);
    "`r, r/m8`." G_GM8 = w(Reg G), r(Rm G8);
    "`r, r/m16`." G_GM16 = w(Reg G), r(Rm G16);
    "`r64, r/m32`." G_GM32 = w(Reg G64), r(Rm G32);
    "`r/m, imm8`; reads the first too." A_I8 = b(Rm G), r(Imm(1) No);
    "`r/m, imm32`; reads the first too." A_I32 = b(Rm G), r(Imm(4) No);
    "`r/m, imm8`, sets flags." TEST_GM_I8 = r(Rm G), r(Imm(1) No);
    "`r/m, imm32`, sets flags." TEST_GM_I32 = r(Rm G), r(Imm(4) No);
    "`r/m, imm32`." GM_I32 = w(Rm G), r(Imm(4) No);
    "`r32, imm32`." G32_I32 = w(Low G32), r(Imm(4) No);
    "`r64, imm64`." G64_I64 = w(Low G64), r(Imm(8) No);
    "`r, r/m, imm8`." G_GM_I8 = w(Reg G), r(Rm G), r(Imm(1) No);
    "`r, r/m, imm32`." G_GM_I32 = w(Reg G), r(Rm G), r(Imm(4) No);
    "`r/m`; reads and writes it." A = b(Rm G);
    "`r/m, cl`; reads the first too." A_CL = b(Rm G), r(Fixed(1) G8);
    "`rax, rdx = rax * r/m`." MUL = w(Fixed(0) G), w(Fixed(2) G), r(Fixed(0) G), r(Rm G);
    "`rax, rdx = rdx:rax / r/m`." DIV = w(Fixed(0) G), w(Fixed(2) G), r(Fixed(0) G), r(Fixed(2) G), r(Rm G);
    "`rdx = sign of rax`." SIGN = w(Fixed(2) G), r(Fixed(0) G);
    "`cc, r8`." SETCC = r(Condition No), w(Rm G8);
    "`cc, r, r/m`; reads the first too." CMOVCC = r(Condition No), b(Reg G), r(Rm G);
    "`r64`." PUSH = r(Low G64);
    "`r64`." POP = w(Low G64);
    "`r/m64`." TARGET = r(Rm G64);
    "`r, r, r/m`." G_G_GM = w(Reg G), r(Vvvv G), r(Rm G);
    "`r, r/m, r`." G_GM_G = w(Reg G), r(Rm G), r(Vvvv G);
    "`r, r/m`, the first in `vvvv`." W_GM = w(Vvvv G), r(Rm G);
    "`r, r = rdx * r/m`." MULX = w(Reg G), w(Vvvv G), r(Rm G), r(Fixed(2) G);
}
