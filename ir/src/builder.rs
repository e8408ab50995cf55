//! Builds functions instruction by instruction, computing result types from the opcode table.

use crate::{
    ArrayMode, ArrayParam, ArrayRef, Block, DType, DimParam, DimRef, FuncRef, Function, Imm, Inst,
    Loc, LocalArray, LocalRef, Opcode, Scalar, Trap, TrapRef, Type, Value,
};

/// Appends instructions to one block of a function at a time.
///
/// The builder panics when an instruction is ill typed: that is a bug of the caller, never of the
/// user's program.
#[derive(Debug)]
pub struct FunctionBuilder {
    /// The function so far.
    pub func: Function,
    block: Block,
    loc: Loc,
}

impl FunctionBuilder {
    /// Starts a function; instructions go to its entry block.
    pub fn new(name: impl Into<String>) -> FunctionBuilder {
        let func = Function::new(name);
        let block = func.entry;
        FunctionBuilder {
            func,
            block,
            loc: Loc::default(),
        }
    }

    /// Continues a function at the end of one of its blocks.
    pub fn at_end(func: Function, block: Block) -> FunctionBuilder {
        FunctionBuilder {
            func,
            block,
            loc: Loc::default(),
        }
    }

    /// The block instructions go to.
    pub fn block(&self) -> Block {
        self.block
    }

    /// Instructions go to the end of `block` from now on.
    pub fn switch_to(&mut self, block: Block) {
        self.block = block;
    }

    /// Source place given to the next instructions.
    pub fn set_loc(&mut self, loc: Loc) {
        self.loc = loc;
    }

    /// The source place in force.
    pub fn loc(&self) -> Loc {
        self.loc
    }

    /// A new parameter of the function.
    pub fn param(&mut self, ty: Type) -> Value {
        let entry = self.func.entry;
        self.func.new_param(entry, ty)
    }

    /// A new array parameter of the kernel.
    pub fn array(&mut self, param: ArrayParam) -> ArrayRef {
        self.func.arrays.push(param);
        ArrayRef::new(self.func.arrays.len() - 1)
    }

    /// A new core dimension of the kernel.
    pub fn dim(&mut self, name: impl Into<String>) -> DimRef {
        self.func.dims.push(DimParam { name: name.into() });
        DimRef::new(self.func.dims.len() - 1)
    }

    /// The extent of a core dimension (i64).
    pub fn extent(&mut self, dim: DimRef) -> Value {
        let inst = self.push(Opcode::Dim, &[], Imm::Dim(dim), &[], &[DType::I64.into()]);
        self.func.result(inst)
    }

    /// An element of this element's sub-array; every index (i64) must be in bounds.
    pub fn core_load(&mut self, array: ArrayRef, index: &[Value]) -> Value {
        let ty = Type::scalar(self.func.arrays[array.index()].dtype);
        let inst = self.push(Opcode::CoreLoad, index, Imm::Array(array), &[], &[ty]);
        self.func.result(inst)
    }

    /// Writes an element of this element's sub-array; every index (i64) must be in bounds.
    pub fn core_store(&mut self, array: ArrayRef, index: &[Value], value: Value) {
        let args: Vec<Value> = index.iter().copied().chain([value]).collect();
        self.push(Opcode::CoreStore, &args, Imm::Array(array), &[], &[]);
    }

    /// A new local array.
    pub fn local(&mut self, local: LocalArray) -> LocalRef {
        self.func.locals.push(local);
        LocalRef::new(self.func.locals.len() - 1)
    }

    /// A new trap.
    pub fn trap(&mut self, trap: Trap) -> TrapRef {
        self.func.traps.push(trap);
        TrapRef::new(self.func.traps.len() - 1)
    }

    /// Appends any instruction.
    pub fn push(
        &mut self,
        op: Opcode,
        args: &[Value],
        imm: Imm,
        blocks: &[Block],
        results: &[Type],
    ) -> Inst {
        let inst = self.func.new_inst(op, args, imm, blocks, results, self.loc);
        self.func.block_mut(self.block).insts.push(inst);
        inst
    }

    /// Appends an operation whose result type follows from its arguments.
    ///
    /// # Panics
    /// If the arguments do not fit the opcode.
    pub fn op(&mut self, op: Opcode, args: &[Value], to: Option<DType>) -> Value {
        let types: Vec<Type> = args.iter().map(|v| self.func.ty(*v)).collect();
        let ty = match op.result_type(&types, to) {
            Ok(ty) => ty,
            Err(message) => panic!("bug in kjit: {message}"),
        };
        let imm = to.map_or(Imm::None, Imm::DType);
        let inst = self.push(op, args, imm, &[], &[ty]);
        self.func.result(inst)
    }

    /// A one-argument operation.
    pub fn unary(&mut self, op: Opcode, a: Value) -> Value {
        self.op(op, &[a], None)
    }

    /// A two-argument operation.
    pub fn binary(&mut self, op: Opcode, a: Value, b: Value) -> Value {
        self.op(op, &[a, b], None)
    }

    /// `select(condition, a, b)`.
    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Value {
        self.op(Opcode::Select, &[condition, a, b], None)
    }

    /// Value conversion; no instruction when the dtype is already right.
    pub fn cast(&mut self, a: Value, to: DType) -> Value {
        if self.func.ty(a).dtype == to {
            a
        } else {
            self.op(Opcode::Cast, &[a], Some(to))
        }
    }

    /// Reinterpretation of the bits.
    pub fn bitcast(&mut self, a: Value, to: DType) -> Value {
        self.op(Opcode::Bitcast, &[a], Some(to))
    }

    /// A constant.
    pub fn constant(&mut self, scalar: Scalar) -> Value {
        let inst = self.push(
            Opcode::Const,
            &[],
            Imm::Const(scalar),
            &[],
            &[Type::scalar(scalar.dtype())],
        );
        self.func.result(inst)
    }

    /// An `f32` constant.
    pub fn f32(&mut self, value: f32) -> Value {
        self.constant(Scalar::f32(value))
    }

    /// An `f64` constant.
    pub fn f64(&mut self, value: f64) -> Value {
        self.constant(Scalar::f64(value))
    }

    /// An integer constant.
    pub fn int(&mut self, dtype: DType, value: i128) -> Value {
        self.constant(Scalar::int(dtype, value))
    }

    /// This element of an input array, or the element's index for an index parameter.
    pub fn load(&mut self, array: ArrayRef) -> Value {
        let param = &self.func.arrays[array.index()];
        let op = if param.mode == ArrayMode::Index {
            Opcode::Index
        } else {
            Opcode::Load
        };
        let ty = Type::scalar(param.dtype);
        let inst = self.push(op, &[], Imm::Array(array), &[], &[ty]);
        self.func.result(inst)
    }

    /// Writes this element of an output array.
    pub fn store(&mut self, array: ArrayRef, value: Value) {
        self.push(Opcode::Store, &[value], Imm::Array(array), &[], &[]);
    }

    /// Element of a local array.
    pub fn local_load(&mut self, local: LocalRef, index: Value) -> Value {
        let ty = Type::scalar(self.func.locals[local.index()].dtype);
        let inst = self.push(Opcode::LocalLoad, &[index], Imm::Local(local), &[], &[ty]);
        self.func.result(inst)
    }

    /// Writes an element of a local array.
    pub fn local_store(&mut self, local: LocalRef, index: Value, value: Value) {
        self.push(
            Opcode::LocalStore,
            &[index, value],
            Imm::Local(local),
            &[],
            &[],
        );
    }

    /// Reports `trap` where `ok` is false.
    pub fn guard(&mut self, ok: Value, trap: TrapRef) {
        self.push(Opcode::Guard, &[ok], Imm::Trap(trap), &[], &[]);
    }

    /// Calls a function whose result types are given.
    pub fn call(&mut self, callee: FuncRef, args: &[Value], results: &[Type]) -> Vec<Value> {
        let inst = self.push(Opcode::Call, args, Imm::Func(callee), &[], results);
        self.func.inst(inst).results.to_vec()
    }

    /// An `if`: `then_arm` and `else_arm` build the arms and each ends its block with a terminator.
    /// Returns the results, of types `results`.
    pub fn if_else(
        &mut self,
        condition: Value,
        results: &[Type],
        then_arm: impl FnOnce(&mut FunctionBuilder),
        else_arm: impl FnOnce(&mut FunctionBuilder),
    ) -> Vec<Value> {
        let outer = self.block;
        let then_block = self.func.new_block();
        let else_block = self.func.new_block();
        self.switch_to(then_block);
        then_arm(self);
        self.switch_to(else_block);
        else_arm(self);
        self.switch_to(outer);
        let inst = self.push(
            Opcode::If,
            &[condition],
            Imm::None,
            &[then_block, else_block],
            results,
        );
        self.func.inst(inst).results.to_vec()
    }

    /// A `loop` with carried values starting at `initial`; `body` builds its block, given the block's
    /// parameters, and ends it with a terminator. Returns the results, of types `results`.
    pub fn loop_(
        &mut self,
        initial: &[Value],
        results: &[Type],
        body: impl FnOnce(&mut FunctionBuilder, &[Value]),
    ) -> Vec<Value> {
        let outer = self.block;
        let block = self.func.new_block();
        let params: Vec<Value> = initial
            .iter()
            .map(|v| {
                let ty = self.func.ty(*v);
                self.func.new_param(block, ty)
            })
            .collect();
        self.switch_to(block);
        body(self, &params);
        self.switch_to(outer);
        let inst = self.push(Opcode::Loop, initial, Imm::None, &[block], results);
        self.func.inst(inst).results.to_vec()
    }

    /// Ends an arm.
    pub fn yield_(&mut self, values: &[Value]) {
        self.push(Opcode::Yield, values, Imm::None, &[], &[]);
    }

    /// Goes to the next iteration.
    pub fn continue_(&mut self, values: &[Value]) {
        self.push(Opcode::Continue, values, Imm::None, &[], &[]);
    }

    /// Leaves the loop.
    pub fn break_(&mut self, values: &[Value]) {
        self.push(Opcode::Break, values, Imm::None, &[], &[]);
    }

    /// Ends the function with these results (whose types become the function's) and hands it over.
    pub fn ret(mut self, values: &[Value]) -> Function {
        self.func.results = values.iter().map(|v| self.func.ty(*v)).collect();
        self.push(Opcode::Return, values, Imm::None, &[], &[]);
        self.func
    }
}
