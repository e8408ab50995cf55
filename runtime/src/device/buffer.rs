//! Device memory: a pool by size class, upload, download.

use super::{Shared, guard};
use crate::{DeviceStorage, HostBuffer, Result, RuntimeError, Stats};
use rustc_hash::FxHashMap;
use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Smallest buffer.
const MIN_SIZE: u64 = 256;
/// Bytes that go through one staging buffer.
const CHUNK: usize = 64 << 20;
/// Bytes of unused buffers that are kept.
const KEEP: u64 = 1 << 30;

/// Elements of an array in device memory.
pub struct DeviceBuffer {
    /// `None` only while dropping.
    buffer: Option<wgpu::Buffer>,
    len: usize,
    shared: Arc<Shared>,
}

/// Unused buffers by their size, for fresh ones are costly (drivers fill them with zeros).
#[derive(Default)]
pub(super) struct Pool(Mutex<Unused>);

#[derive(Default)]
struct Unused {
    buffers: FxHashMap<u64, Vec<wgpu::Buffer>>,
    bytes: u64,
}

impl Pool {
    fn take(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut unused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = unused.buffers.get_mut(&size)?.pop()?;
        unused.bytes -= size;
        Some(buffer)
    }

    fn give(&self, buffer: wgpu::Buffer) {
        let mut unused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = buffer.size();
        if unused.bytes + size > KEEP {
            // Sizes that a program no longer asks for must not fill the pool for ever.
            *unused = Unused::default();
        }
        if size <= KEEP {
            unused.bytes += size;
            unused.buffers.entry(size).or_default().push(buffer);
        }
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Frees everything that is not in use.
    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Unused::default();
    }
}

/// The size class of a number of bytes: eight steps for each doubling.
pub(super) fn size_class(len: u64) -> u64 {
    let len = len.max(MIN_SIZE);
    let step = (len.next_power_of_two() / 16).max(MIN_SIZE);
    len.div_ceil(step) * step
}

impl Shared {
    /// Memory for `len` bytes; what is in it is unspecified.
    pub(super) fn allocate(self: &Arc<Shared>, len: usize) -> Result<DeviceBuffer> {
        // Copies and bindings are made of whole words.
        let limit = self.limits.max_buffer_size / 4 * 4;
        if len as u64 > limit {
            return Err(RuntimeError::limit(format!(
                "an array of {len} bytes is larger than device {} allows ({limit} bytes)",
                self.name
            ))
            .help("use smaller arrays, or target cpu or parallel"));
        }
        let size = match size_class(len as u64) {
            size if size <= limit => size,
            _ => (len as u64).next_multiple_of(4).min(limit),
        };
        let pooled = self.pool.take(size);
        let buffer = match pooled {
            Some(buffer) => buffer,
            // When memory runs out, unused buffers may be what fills it.
            None => match self.create_buffer(size) {
                Ok(buffer) => buffer,
                Err(_) => {
                    self.pool.clear();
                    // Memory comes back when the work that used it is done.
                    self.guarded("freeing arrays", || self.drain())?;
                    self.create_buffer(size)?
                }
            },
        };
        Ok(DeviceBuffer {
            buffer: Some(buffer),
            len,
            shared: self.clone(),
        })
    }

    /// Fills buffers with zeros.
    pub(super) fn clear(&self, buffers: &[&DeviceBuffer]) -> Result<()> {
        self.guarded("clearing arrays", || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            for buffer in buffers {
                encoder.clear_buffer(buffer.raw(), 0, None);
            }
            self.queue.submit([encoder.finish()]);
            Ok(())
        })
    }

    fn create_buffer(&self, size: u64) -> Result<wgpu::Buffer> {
        self.guarded("allocating an array", || {
            Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }))
        })
    }

    /// A copy of some bytes in device memory.
    pub(super) fn upload(self: &Arc<Shared>, bytes: &[u8]) -> Result<DeviceBuffer> {
        let buffer = self.allocate(bytes.len())?;
        self.guarded("uploading an array", || {
            for (n, chunk) in bytes.chunks(CHUNK).enumerate() {
                let at = (n * CHUNK) as u64;
                let whole = chunk.len() / 4 * 4;
                if whole > 0 {
                    self.queue.write_buffer(buffer.raw(), at, &chunk[..whole]);
                }
                if whole < chunk.len() {
                    let mut word = [0; 4];
                    word[..chunk.len() - whole].copy_from_slice(&chunk[whole..]);
                    self.queue
                        .write_buffer(buffer.raw(), at + whole as u64, &word);
                }
                self.uploaded(chunk.len())?;
            }
            Ok(())
        })?;
        Ok(buffer)
    }

    /// `len` bytes of a buffer from a multiple of 4 on, on the host.
    pub(super) fn download(
        &self,
        buffer: &wgpu::Buffer,
        from: usize,
        len: usize,
    ) -> Result<HostBuffer> {
        let mut host = HostBuffer::zeroed(len)?;
        self.guarded("downloading an array", || {
            for (n, part) in host.as_mut_slice().chunks_mut(CHUNK).enumerate() {
                let size = part.len().next_multiple_of(4) as u64;
                let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size,
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                let mut encoder = self.device.create_command_encoder(&Default::default());
                let at = (from + n * CHUNK) as u64;
                encoder.copy_buffer_to_buffer(buffer, at, &staging, 0, size);
                let submission = self.queue.submit([encoder.finish()]);
                let (sender, receiver) = std::sync::mpsc::channel();
                staging.map_async(wgpu::MapMode::Read, .., move |result| {
                    let _ = sender.send(result);
                });
                self.wait(Some(submission))?;
                let failed =
                    |e: String| RuntimeError::device(format!("reading device memory failed: {e}"));
                // Another thread's polling may be about to call back.
                match receiver.recv_timeout(std::time::Duration::from_secs(60)) {
                    Ok(Ok(())) => {}
                    Ok(Err(e)) => return Err(failed(e.to_string())),
                    Err(e) => return Err(failed(e.to_string())),
                }
                let view = staging
                    .get_mapped_range(..)
                    .map_err(|e| failed(e.to_string()))?;
                part.copy_from_slice(&view[..part.len()]);
            }
            Ok(())
        })?;
        Ok(host)
    }
}

impl DeviceBuffer {
    /// The buffer itself.
    pub(super) fn raw(&self) -> &wgpu::Buffer {
        self.buffer
            .as_ref()
            .expect("bug in kjit: a device buffer after its end")
    }

    /// Bytes that are there, at least as many as were asked for: whole words.
    pub(super) fn size(&self) -> usize {
        self.len.next_multiple_of(4).max(4)
    }

    /// Does it belong to this device?
    pub(super) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        // Work that uses it may be in the queue still; what comes next is queued after it.
        if let Some(buffer) = self.buffer.take() {
            // What does not go to the pool is freed, by wgpu.
            let _ = guard::no_panic("freeing an array", || {
                self.shared.pool.give(buffer);
                Ok(())
            });
        }
    }
}

impl DeviceStorage for DeviceBuffer {
    fn len(&self) -> usize {
        self.len
    }

    fn download(&self, bytes: Range<usize>) -> Result<HostBuffer> {
        self.shared.settle()?;
        let start = Instant::now();
        let host = self.shared.download(self.raw(), bytes.start, bytes.len())?;
        self.shared.backlog.add_late(&Stats {
            transfer: start.elapsed(),
            ..Stats::default()
        });
        Ok(host)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
