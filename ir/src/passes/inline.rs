//! Replaces every call by the body of the callee.

use crate::analysis::tree::{add_results, make_const};
use crate::passes::lower_returns::lower_returns;
use crate::{
    Block, DType, FuncRef, Function, Imm, Inst, InstData, LocalRef, Module, Opcode, Scalar,
    TrapRef, Type, Value,
};
use std::borrow::Cow;

/// The function `root` with all calls inlined, and with nested returns lowered.
///
/// The type checker refuses recursion; if there is some all the same, the recursive call stays.
pub fn inline(module: &Module, root: FuncRef) -> Function {
    inline_where(module, root, |_| true)
}

/// As [`inline`], but calls of the library's functions (`std.`) stay.
pub fn inline_user_functions(module: &Module, root: FuncRef) -> Function {
    inline_where(module, root, |callee| !callee.name.starts_with("std."))
}

fn inline_where(module: &Module, root: FuncRef, wanted: fn(&Function) -> bool) -> Function {
    let mut lowered: Vec<Option<Cow<Function>>> = vec![None; module.functions.len()];
    lower_reachable(module, root, &mut lowered);
    let Some(source) = lowered[root.index()].as_deref() else {
        return module[root].clone();
    };
    let mut dst = Function::new(source.name.clone());
    dst.form = source.form;
    dst.fast = source.fast;
    dst.results = source.results.clone();
    dst.arrays = source.arrays.clone();
    dst.dims = source.dims.clone();
    dst.loops = source.loops.clone();
    let entry = dst.entry;
    let mut inliner = Inliner {
        lowered: &lowered,
        wanted,
        dst,
        stack: vec![root],
        loops: 0,
    };
    let mut frame = inliner.frame(source);
    inliner.block(source, source.entry, entry, &mut frame);
    inliner.dst
}

/// Lowers the returns of `root` and of all it calls.
fn lower_reachable<'m>(
    module: &'m Module,
    root: FuncRef,
    lowered: &mut [Option<Cow<'m, Function>>],
) {
    let mut todo = vec![root];
    while let Some(next) = todo.pop() {
        if lowered[next.index()].is_some() {
            continue;
        }
        let func = &module[next];
        let returns = func.insts.iter().filter(|i| i.op == Opcode::Return).count();
        // A single `return` may be in a loop, with the entry block ending in `unreachable`.
        let last = func.terminator(func.entry);
        let at_end = last.is_some_and(|last| func.inst(last).op == Opcode::Return);
        let mut func = Cow::Borrowed(func);
        if returns > usize::from(at_end) {
            lower_returns(func.to_mut());
        }
        todo.extend(func.insts.iter().filter_map(|i| match i.imm {
            Imm::Func(callee) if i.op == Opcode::Call => Some(callee),
            _ => None,
        }));
        lowered[next.index()] = Some(func);
    }
}

struct Inliner<'a> {
    lowered: &'a [Option<Cow<'a, Function>>],
    /// Which functions are inlined.
    wanted: fn(&Function) -> bool,
    dst: Function,
    /// The functions being copied, outermost first.
    stack: Vec<FuncRef>,
    /// Number of loops around the place being written.
    loops: u32,
}

/// One activation of a function: what stands for its values, locals and traps.
struct Frame {
    values: Vec<Value>,
    locals: usize,
    traps: usize,
}

impl<'a> Inliner<'a> {
    fn frame(&mut self, src: &Function) -> Frame {
        let frame = Frame {
            values: vec![Value(u32::MAX); src.values.len()],
            locals: self.dst.locals.len(),
            traps: self.dst.traps.len(),
        };
        self.dst.locals.extend_from_slice(&src.locals);
        self.dst.traps.extend_from_slice(&src.traps);
        frame
    }

    /// Copies a block with its parameters.
    fn block(&mut self, src: &'a Function, block: Block, to: Block, frame: &mut Frame) {
        for &param in &src.block(block).params {
            frame.values[param.index()] = self.dst.new_param(to, src.ty(param));
        }
        let mut out = Vec::with_capacity(src.block(block).insts.len());
        for &inst in &src.block(block).insts {
            self.inst(src, inst, &mut out, frame);
        }
        self.dst.block_mut(to).insts = out;
    }

    fn inst(&mut self, src: &'a Function, inst: Inst, out: &mut Vec<Inst>, frame: &mut Frame) {
        let data = src.inst(inst);
        let args = data.args.iter().map(|v| frame.values[v.index()]).collect();
        if let (Opcode::Call, Imm::Func(callee)) = (data.op, data.imm)
            && !self.stack.contains(&callee)
            && let Some(target) = self.lowered[callee.index()].as_deref()
            && (self.wanted)(target)
        {
            self.call(src, data, callee, target, args, out, frame);
            return;
        }
        let imm = match data.imm {
            Imm::Local(l) => Imm::Local(LocalRef::new(l.index() + frame.locals)),
            Imm::Trap(t) => Imm::Trap(TrapRef::new(t.index() + frame.traps)),
            other => other,
        };
        let new = Inst::new(self.dst.insts.len());
        self.dst.insts.push(InstData {
            op: data.op,
            args,
            imm,
            blocks: Default::default(),
            results: Default::default(),
            loc: data.loc,
        });
        add_results(src, data, &mut self.dst, new, &mut frame.values);
        out.push(new);
        let is_loop = data.op == Opcode::Loop;
        self.loops += is_loop as u32;
        for &inner in &data.blocks {
            let block = self.dst.new_block();
            self.dst.inst_mut(new).blocks.push(block);
            self.block(src, inner, block, frame);
        }
        self.loops -= is_loop as u32;
    }

    #[expect(clippy::too_many_arguments, reason = "the two sides of a call")]
    fn call(
        &mut self,
        src: &Function,
        data: &InstData,
        callee: FuncRef,
        target: &'a Function,
        args: smallvec::SmallVec<[Value; 3]>,
        out: &mut Vec<Inst>,
        frame: &mut Frame,
    ) {
        let mut inner = self.frame(target);
        if self.loops > 0 {
            self.clear_locals(inner.locals, out);
        }
        for (param, arg) in target.params().iter().zip(args) {
            inner.values[param.index()] = arg;
        }
        self.stack.push(callee);
        for &inst in &target.block(target.entry).insts {
            let last = target.inst(inst);
            match last.op {
                Opcode::Return => {
                    for (result, value) in data.results.iter().zip(&last.args) {
                        frame.values[result.index()] = inner.values[value.index()];
                    }
                }
                Opcode::Unreachable => {
                    // The callee never comes back; what follows needs values of some kind.
                    for &result in &data.results {
                        let ty = src.ty(result);
                        let zero = Scalar::zero(ty.dtype);
                        frame.values[result.index()] = make_const(&mut self.dst, out, zero, ty);
                    }
                }
                _ => self.inst(target, inst, out, &mut inner),
            }
        }
        self.stack.pop();
    }

    /// A callee's local arrays are zero at each call, not only when the element starts.
    fn clear_locals(&mut self, first: usize, out: &mut Vec<Inst>) {
        for n in first..self.dst.locals.len() {
            let local = LocalRef::new(n);
            let (dtype, len) = (self.dst.locals[n].dtype, self.dst.locals[n].len);
            let int = Type::scalar(DType::I32);
            let index = |v: i128| Scalar::int(DType::I32, v);
            let zero = make_const(&mut self.dst, out, Scalar::zero(dtype), dtype.into());
            let start = make_const(&mut self.dst, out, index(0), int);
            let step = make_const(&mut self.dst, out, index(1), int);
            let end = make_const(&mut self.dst, out, index(len as i128), int);
            // loop (i = 0) { if i < len { yield } else { break }; local[i] = 0; continue i + 1 }
            let body = self.dst.new_block();
            let i = self.dst.new_param(body, int);
            let looping = self.plain(Opcode::Loop, &[start], Imm::None, &[body], &[]);
            let arms = [self.dst.new_block(), self.dst.new_block()];
            let test = self.plain(Opcode::Lt, &[i, end], Imm::None, &[], &[Type::BOOL]);
            let more = self.dst.result(test);
            let stay = self.plain(Opcode::Yield, &[], Imm::None, &[], &[]);
            let leave = self.plain(Opcode::Break, &[], Imm::None, &[], &[]);
            self.dst.block_mut(arms[0]).insts.push(stay);
            self.dst.block_mut(arms[1]).insts.push(leave);
            let exit = self.plain(Opcode::If, &[more], Imm::None, &arms, &[]);
            let store = self.plain(Opcode::LocalStore, &[i, zero], Imm::Local(local), &[], &[]);
            let add = self.plain(Opcode::Add, &[i, step], Imm::None, &[], &[int]);
            let next = self.dst.result(add);
            let again = self.plain(Opcode::Continue, &[next], Imm::None, &[], &[]);
            self.dst.block_mut(body).insts = vec![test, exit, store, add, again];
            out.push(looping);
        }
    }

    fn plain(
        &mut self,
        op: Opcode,
        args: &[Value],
        imm: Imm,
        blocks: &[Block],
        results: &[Type],
    ) -> Inst {
        self.dst
            .new_inst(op, args, imm, blocks, results, Default::default())
    }
}
