# The front door: every public name once, typed; `__init__.py` loads them from here when they are used.
from ._choices import UsageError as UsageError
from .data.boundaries.module import BoundaryData as BoundaryData
from .data.contract import validate_data as validate_data
from .data.images.module import ImageData as ImageData
from .data.images.sources import ImageSource as ImageSource
from .edges.benchmark.benchmark import benchmark_edges as benchmark_edges
from .edges.contract import Detector as Detector
from .edges.contract import validate_detector as validate_detector
from .edges.detector import EdgeDetector as EdgeDetector
from .edges.folder import detect_folder as detect_folder
from .edges.network import NetworkDetector as NetworkDetector
from .filters.analysis.identify import identify as identify
from .filters.bank import FilterBank as FilterBank
from .filters.bank import bank as bank
from .filters.families import family as family
from .filters.families import listing as listing
from .filters.validate import validate_family as validate_family
from .nn.contract import validate_network as validate_network
from .nn.edge_net import EdgeNet as EdgeNet
from .nn.initialisation.writing import initialise as initialise
from .nn.small_cnn import SmallCNN as SmallCNN
from .nn.torchvision_net import TorchvisionNet as TorchvisionNet
from .receptive.effective import effective_field as effective_field
from .receptive.trace import receptive_fields as receptive_fields
from .report.section import report_section as report_section
from .runs.run import Run as Run
from .studies.study import Study as Study
from .training.evaluate import evaluate as evaluate
from .training.recipe import Recipe as Recipe
from .training.train import train as train

__version__: str
