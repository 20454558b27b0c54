"""What is to be reached, on two cores."""

from benchmarks.figures import Target, published

SIZES = (9, 27, 64, 216, 1000)
TRAINING = "training"
DYNAMICS = "MD in ASE, us/atom/step"
GROWTH = "MD in ASE, growth of time per atom"
STARTING = "starting"
READING = "reading"

SPEED, MEMORY = "structures/s", "peak MiB"
FLATNESS = "64 to 1000"
HELP, TORCH, IMPORTS = "help, s", "torch, s", "imports, s"
IMPORTS_BY_TORCH = "imports/torch"
FIRST_STEP, BEYOND_TORCH, BEYOND_IMPORTS = "step 1, s", "less torch, s", "less imports, s"
WHOLE = "100 mols, s"
FRAMES, RESIDENT, AGAIN = "frames/s", "memory/columns", "again, s"

SOAP, PET, METATRAIN, ASE = "soap_bpnn", "pet", "metatrain", "ASE"


def _dynamics(architecture: str, limits: tuple[float, ...]) -> tuple[Target, ...]:
    other = published(architecture)
    return tuple(
        Target(DYNAMICS, str(size), architecture, other, limit)
        for size, limit in zip(SIZES, limits, strict=True)
    )


TARGETS = (
    Target(TRAINING, SPEED, SOAP, published(SOAP), 4.0, is_least=True),
    Target(TRAINING, SPEED, PET, published(PET), 2.0, is_least=True),
    *(Target(TRAINING, MEMORY, name, published(name), 0.5) for name in (SOAP, PET)),
    *_dynamics(SOAP, (0.5, 0.5, 0.25, 0.25, 0.25)),
    *_dynamics(PET, (0.5, 0.5, 0.65, 0.65, 0.5)),
    Target(GROWTH, FLATNESS, PET, "", 1.3),
    *(Target(STARTING, BEYOND_TORCH, name, published(name), 1 / 3) for name in (SOAP, PET)),
    *(Target(STARTING, BEYOND_IMPORTS, name, "", 0.5) for name in (SOAP, PET)),
    *(Target(STARTING, IMPORTS_BY_TORCH, name, "", 1.4) for name in (SOAP, PET)),
    Target(STARTING, WHOLE, SOAP, published(SOAP), 0.5),
    Target(READING, FRAMES, METATRAIN, ASE, 6.0, is_least=True),
    Target(READING, RESIDENT, METATRAIN, "", 2.0),
    Target(READING, AGAIN, METATRAIN, "", 2.0),
)
