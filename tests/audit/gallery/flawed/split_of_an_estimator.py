"""scikit-learn: the network has the seed, the split has none.

expected: split.unseeded
"""

import sys
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

seed = int(sys.argv[1])
x = np.sin(np.arange(600)).reshape(100, 6)
y = (x[:, 0] > 0).astype(int)
a, b, c, d = train_test_split(x, y)
print(MLPClassifier((8,), max_iter=20, random_state=seed).fit(a, c).score(b, d))
