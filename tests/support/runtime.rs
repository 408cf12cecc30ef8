//! ONNX Runtime itself, for tests that use the engine as a library.

use std::path::Path;
use std::sync::OnceLock;

use mimid::model::onnx::Runtime;

/// The one ONNX Runtime of the process, which is never unloaded.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/runtime/libonnxruntime.so");
    RUNTIME.get_or_init(|| Runtime::load(&library).expect("`make setup` gets it"))
}
