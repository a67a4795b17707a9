"""A forest and a linear model of scikit-learn, each with the seed as random_state."""

import sys

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

seed = int(sys.argv[1])
x = np.sin(np.arange(600)).reshape(100, 6)
y = (x[:, 0] + x[:, 1] > 0).astype(int)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=seed)
forest = RandomForestClassifier(n_estimators=10, random_state=seed).fit(x_train, y_train)
linear = make_pipeline(StandardScaler(), SGDClassifier(random_state=seed)).fit(x_train, y_train)
print(forest.score(x_test, y_test), linear.score(x_test, y_test))
