//! Tests as values, so that whether one is ignored can be decided when they run.

use libtest_mimic::Trial;

/// Whether tests may take their time, as they do once a week.
pub fn is_long() -> bool {
    std::env::var_os("FFCL_LONG_TESTS").is_some()
}

/// Where a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Cpu,
    /// The best adapter there is, a software one included.
    Gpu,
}

/// A test: a function that panics where something is wrong.
pub struct Test {
    pub name: String,
    pub device: Device,
    pub run: Box<dyn Fn() + Send>,
}

impl Test {
    /// A test that needs an adapter.
    pub fn on_adapter(name: &str, run: impl Fn() + Send + 'static) -> Self {
        Self { name: name.to_owned(), device: Device::Gpu, run: Box::new(run) }
    }

    /// The test as the harness takes it; `ignore` says whether those that need an adapter are left out.
    pub fn trial(self, ignore: bool) -> Trial {
        let Self { name, device, run } = self;
        let trial = Trial::test(name, move || {
            run();
            Ok(())
        });
        trial.with_ignored_flag(ignore && device == Device::Gpu)
    }
}

/// Lists the tests of a module by the names of their functions: those of the `cpu`, those that need a `gpu`, and those of `both`,
/// which are told on which. A function that is not listed is dead code, which the compiler reports.
macro_rules! tests {
    ($($devices:ident: $($name:ident),+ $(,)?;)+) => {
        #[expect(clippy::vec_init_then_push, reason = "each name becomes one test or two")]
        pub fn tests() -> Vec<$crate::harness::Test> {
            let mut tests = Vec::new();
            $($(tests!(@$devices tests $name);)+)+
            tests
        }
    };
    (@cpu $tests:ident $name:ident) => {
        tests!(@push $tests $name, "", Cpu, $name);
    };
    (@gpu $tests:ident $name:ident) => {
        tests!(@push $tests $name, "", Gpu, $name);
    };
    (@both $tests:ident $name:ident) => {
        tests!(@push $tests $name, "_cpu", Cpu, || $name($crate::harness::Device::Cpu));
        tests!(@push $tests $name, "_gpu", Gpu, || $name($crate::harness::Device::Gpu));
    };
    (@push $tests:ident $name:ident, $ending:literal, $device:ident, $run:expr) => {
        $tests.push($crate::harness::Test {
            // The module's path without the program's name, as Rust's own harness has it.
            name: concat!(module_path!(), "::", stringify!($name), $ending).split_once("::").unwrap().1.into(),
            device: $crate::harness::Device::$device,
            run: Box::new($run),
        });
    };
}
