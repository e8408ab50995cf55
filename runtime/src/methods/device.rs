//! Methods on a device.

use crate::{Engine, Result, RuntimeError, Target};

/// Refuses what the device layer has no kernels for: nothing runs elsewhere than it was asked to.
pub(super) fn refuse(engine: &Engine, name: &str) -> Result<()> {
    if engine.options().target == Target::Gpu {
        return Err(
            RuntimeError::device(format!("the gpu target has no {name}"))
                .help("use the target cpu or parallel"),
        );
    }
    Ok(())
}
