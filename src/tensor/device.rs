//! Choosing and opening a device.
//!
//! `auto` takes the best wgpu adapter (discrete, then integrated, then virtual), else the CPU, and reports which and
//! why. A software adapter is used only when it is named: it is how the wgpu path is tested without a GPU.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::tensor::wgpu::{WgpuBackend, WgpuInitError, wgpu};
use burn::tensor::{DeviceKind, TensorReadError};

use super::faults::{Fault, Faults, reason_of};
use super::task::note_failure;
use super::{Axis, TensorError, no_adapter, shape_text};

/// What the user asked for with `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The best adapter, else the CPU.
    #[default]
    Auto,
    /// The n-th hardware adapter of any graphics API.
    Gpu(usize),
    /// The n-th Vulkan adapter, software ones included (they come after the hardware).
    Vulkan(usize),
    /// The CPU, through burn-flex.
    Cpu,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let wrong = |number| format!("device number {number:?} is not a whole number");
        let number = number.map(|number| number.parse().map_err(|_| wrong(number))).transpose()?;
        match (name, number) {
            ("auto", None) => Ok(DeviceChoice::Auto),
            ("cpu", None) => Ok(DeviceChoice::Cpu),
            ("gpu", n) => Ok(DeviceChoice::Gpu(n.unwrap_or(0))),
            ("vulkan", n) => Ok(DeviceChoice::Vulkan(n.unwrap_or(0))),
            _ => Err(format!("unknown device {text:?}: use auto, gpu, gpu:N, vulkan, vulkan:N or cpu")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Gpu(n) => write!(f, "gpu:{n}"),
            DeviceChoice::Vulkan(n) => write!(f, "vulkan:{n}"),
            DeviceChoice::Cpu => f.write_str("cpu"),
        }
    }
}

/// An open device. Cloning increments a reference count.
#[derive(Clone)]
pub struct Device {
    burn: burn::tensor::Device,
    info: Arc<Info>,
}

struct Info {
    cpu: bool,
    name: String,
    reason: String,
    max_buffer: u64,
    faults: Arc<Faults>,
    /// The handle of a graphics device; none of the CPU.
    wgpu: Option<wgpu::Device>,
}

/// Devices opened so far: wgpu runtimes are initialised once in a process.
static OPENED: Mutex<Vec<(Adapter, Device)>> = Mutex::new(Vec::new());

/// Whether there are any.
static ADAPTERS: AtomicBool = AtomicBool::new(false);

/// What identifies a wgpu adapter.
type Adapter = (DeviceKind, WgpuBackend);

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.info.name)
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        self.burn == other.burn
    }
}

impl Device {
    pub fn cpu() -> Device {
        static CPU: OnceLock<Device> = OnceLock::new();
        CPU.get_or_init(|| Device::cpu_because("asked for")).clone()
    }

    fn cpu_because(reason: &str) -> Device {
        let (name, reason) = ("cpu".into(), format!("device: cpu ({reason})"));
        let info = Info { cpu: true, name, reason, max_buffer: u64::MAX, faults: Arc::default(), wgpu: None };
        Device { burn: burn::tensor::Device::flex(), info: Arc::new(info) }
    }

    /// Opens what was asked for. Opening the same adapter again gives the same device.
    ///
    /// # Errors
    /// If no such adapter can be opened, with what could; [`TensorError::DeviceLost`] if it was opened before and has
    /// been lost since: the libraries below cannot open it anew in the same process.
    pub fn open(choice: DeviceChoice) -> Result<Device, TensorError> {
        let device = match choice {
            DeviceChoice::Cpu => Device::cpu(),
            DeviceChoice::Auto => match nth(0, WgpuBackend::Auto) {
                Ok(device) if device.info.faults.lost().is_none() => device,
                Ok(device) => Device::cpu_because(&format!("{} was lost", device.name())),
                Err(seen) => Device::cpu_because(&format!("no GPU: wgpu finds {seen} hardware adapters")),
            },
            DeviceChoice::Gpu(n) => nth(n, WgpuBackend::Auto).map_err(|seen| TensorError::Device {
                message: format!(
                    "no gpu:{n}: wgpu finds {seen} hardware adapters; {}",
                    no_adapter::advice(Path::new("/"))
                ),
            })?,
            DeviceChoice::Vulkan(n) => vulkan(n)?,
        };
        device.lives()?;
        Ok(device)
    }

    pub(crate) fn of(burn: burn::tensor::Device) -> Device {
        let opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = opened.iter().find(|(_, device)| device.burn == burn);
        known.map_or_else(Device::cpu, |(_, device)| device.clone())
    }

    /// Whether no adapter has been opened: every value is on the CPU then, and none need be asked.
    pub(super) fn cpu_alone() -> bool {
        !ADAPTERS.load(Ordering::Relaxed)
    }

    pub fn is_cpu(&self) -> bool {
        self.info.cpu
    }

    /// A short name: `cpu`, or the adapter's own.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// One line that says which device was taken and why.
    pub fn reason(&self) -> &str {
        &self.info.reason
    }

    /// Bytes of the largest single tensor it can hold.
    pub fn max_buffer_bytes(&self) -> u64 {
        #[cfg(test)]
        if let Some(limit) = limited::get() {
            return limit;
        }
        self.info.max_buffer
    }

    /// Whether a tensor of that shape is so small that every device holds it: an adapter that computes has buffers of
    /// 128 MiB at least (`maxStorageBufferBindingSize` of WebGPU). Small operations need not look up their device.
    pub(super) fn any_holds(shape: &[usize]) -> bool {
        #[cfg(test)]
        if limited::get().is_some() {
            return false;
        }
        shape.iter().try_fold(1usize, |all, len| all.checked_mul(*len)).is_some_and(|elements| elements <= 1 << 20)
    }

    /// Whether it holds this many elements in one buffer, counted in the 4 bytes that arithmetic widens each of them
    /// to.
    pub fn holds(&self, elements: u64) -> bool {
        elements.saturating_mul(4) <= self.max_buffer_bytes()
    }

    /// Refuses a tensor that does not fit into one buffer, before anything is computed.
    ///
    /// A launch whose buffer could not be allocated is skipped, and the error waits in the buffer for a reader; but
    /// cubecl clears it as soon as another launch writes into any part of the same buffer, and what was skipped then
    /// reads as if it had been computed (`docs/upstream.md`). So nothing may depend on the error: what is too large is
    /// never launched.
    ///
    /// # Errors
    /// [`TensorError::TooBig`] with `op`, shape and limit.
    pub fn check(&self, op: &str, shape: &[usize], axes: &[Axis]) -> Result<(), TensorError> {
        let elements = shape.iter().fold(1u64, |all, len| all.saturating_mul(*len as u64));
        if self.holds(elements) {
            return Ok(());
        }
        note_failure();
        let (op, shape, device) = (op.into(), shape_text(shape, axes), self.name().into());
        let (bytes, limit) = (elements.saturating_mul(4), self.max_buffer_bytes());
        Err(TensorError::TooBig { op, shape, bytes, limit, device })
    }

    /// Waits until everything that was started on it is done.
    pub fn sync(&self) -> Result<(), TensorError> {
        self.checked(self.burn.sync())
    }

    /// The first failure on it that has not been reported, which is reported now.
    ///
    /// # Errors
    /// [`TensorError::DeviceFull`], [`TensorError::DeviceLost`] or [`TensorError::DeviceFailed`].
    pub fn fault(&self) -> Result<(), TensorError> {
        self.info.faults.take().map_or(Ok(()), |fault| Err(fault.on(self.name())))
    }

    /// How often something has failed on it: what was computed there before the last time may be missing.
    pub fn faults(&self) -> u64 {
        self.info.faults.count()
    }

    /// Whether anything can be computed on it.
    ///
    /// # Errors
    /// [`TensorError::DeviceLost`] if it was lost.
    pub fn lives(&self) -> Result<(), TensorError> {
        self.info.faults.lost().map_or(Ok(()), |reason| Err(Fault::Lost(reason).on(self.name())))
    }

    /// Loses the device, as a reset of its driver does, so that tests see what follows. The CPU cannot be lost.
    pub fn lose(&self) {
        if let Some(device) = &self.info.wgpu {
            device.destroy();
            // The loss is reported by a poll, once the queue is empty.
            _ = device.poll(wgpu::PollType::wait_indefinitely());
        }
    }

    /// Notes a failure, as a driver reports it.
    pub(crate) fn note(&self, fault: Fault) {
        self.info.faults.note(fault);
    }

    /// What was read from it, unless that failed or something that it may depend on did.
    pub(super) fn checked<T>(&self, read: Result<T, impl Into<TensorReadError>>) -> Result<T, TensorError> {
        let read = read.map_err(|error| {
            let error = error.into();
            match &error {
                report if is_lost(report) => {
                    self.note(Fault::Lost(reason_of(&report.to_string())));
                    // It may have been reported before, and is reported again as often as it is met.
                    self.info.faults.take();
                    self.lives().err()
                }
                _ => self.fault().err(),
            }
            .unwrap_or_else(|| {
                note_failure();
                TensorError::Read { message: error.to_string() }
            })
        })?;
        self.fault().map(|()| read)
    }

    pub(crate) fn burn(&self) -> &burn::tensor::Device {
        &self.burn
    }
}

fn open_adapter(adapter: Adapter, why: &str) -> Result<Device, WgpuInitError> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, device)) = opened.iter().find(|(known, _)| *known == adapter) {
        return Ok(device.clone());
    }
    let (burn, setup) = burn::tensor::Device::wgpu_options()
        .device_kind(adapter.0.clone())
        .graphics_api(adapter.1)
        .init_with_setup()?;
    let info = setup.adapter.get_info();
    let limits = setup.device.limits();
    let max_buffer = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let (name, reason) = (info.name.clone(), format!("device: {} through {:?} ({why})", info.name, setup.backend));
    // cubecl's own handler panics, with a message on the screen, and whoever waits for nothing never hears of it.
    let faults = Arc::new(Faults::default());
    let noting = faults.clone();
    setup.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| noting.uncaptured(&error)));
    let info = Info { cpu: false, name, reason, max_buffer, faults, wgpu: Some(setup.device) };
    let device = Device { burn, info: Arc::new(info) };
    opened.push((adapter, device.clone()));
    ADAPTERS.store(true, Ordering::Relaxed);
    Ok(device)
}

/// Whether a read failed because the device is lost. One that was under way then says so in words only.
fn is_lost(report: &TensorReadError) -> bool {
    match report {
        TensorReadError::Execution(report) => report.is_device_poisoned(),
        report => report.to_string().contains("The device is poisoned"),
    }
}

/// The n-th Vulkan adapter, hardware first, the software one last.
fn vulkan(n: usize) -> Result<Device, TensorError> {
    let unavailable = |why: String| TensorError::Device {
        message: format!(
            "no vulkan:{n}: {why}; install a Vulkan driver (Mesa's software one is mesa-vulkan-drivers) or use \
             --device cpu"
        ),
    };
    let hardware = match nth(n, WgpuBackend::Vulkan) {
        Ok(device) => return Ok(device),
        Err(seen) => seen,
    };
    if n > hardware {
        return Err(unavailable(format!("Vulkan has {hardware} hardware adapters and at most one software adapter")));
    }
    open_adapter((DeviceKind::Cpu, WgpuBackend::Vulkan), "software adapter, as named").map_err(|error| match error {
        WgpuInitError::AdapterUnavailable { .. } => unavailable(error.to_string()),
        error => TensorError::Device { message: format!("vulkan:{n} cannot be opened: {error}; use --device cpu") },
    })
}

/// The n-th hardware adapter, discrete ones first, then integrated, then virtual; or how many there are.
fn nth(n: usize, api: WgpuBackend) -> Result<Device, usize> {
    let kinds: [(fn(usize) -> DeviceKind, &str); 3] = [
        (DeviceKind::DiscreteGpu, "discrete GPU"),
        (DeviceKind::IntegratedGpu, "integrated GPU"),
        (DeviceKind::VirtualGpu, "virtual GPU"),
    ];
    let mut seen = 0;
    for (kind, what) in kinds {
        let mut index = 0;
        while let Ok(device) = open_adapter((kind(index), api), what) {
            if seen == n {
                return Ok(device);
            }
            seen += 1;
            index += 1;
        }
    }
    Err(seen)
}

/// A smaller limit than that of the device, on this thread, so that tests see small inputs refused as large ones are.
#[cfg(test)]
pub(crate) mod limited {
    use std::cell::Cell;

    thread_local! {
        static LIMIT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    pub(super) fn get() -> Option<u64> {
        LIMIT.get()
    }

    /// Called for every value that is made.
    pub(crate) fn assert_held(shape: &[usize]) {
        let (Some(limit), count) = (get(), shape.iter().product::<usize>() as u64) else { return };
        assert!(
            count * 4 <= limit,
            "a value of shape {shape:?} was made although no buffer takes more than {limit} bytes"
        );
    }

    /// Runs `work` with no tensor of more than `bytes`.
    pub(crate) fn to<R>(bytes: u64, work: impl FnOnce() -> R) -> R {
        let before = LIMIT.replace(Some(bytes));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        LIMIT.set(before);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
