"""Makes the models of the zoo, all or those named: `make.py [NAME …]`."""
import sys

import boosted_cases  # noqa: F401
import folder_cases  # noqa: F401
import neural_cases  # noqa: F401
import sklearn_cases  # noqa: F401
import zoo

zoo.main(sys.argv[1:])
