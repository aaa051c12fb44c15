//! The guest's first process. See the library.

fn main() {
    vm_test::run();
}
