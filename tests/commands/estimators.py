"""Functions of a seed with scikit-learn, in a module that workers import."""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier

import seedspread as ss


def forest(seed):
    (train, test), (labels, truth) = ([part[:1297], part[1297:]] for part in load_digits(return_X_y=True))
    model = RandomForestClassifier(n_estimators=3).fit(train, labels)
    return {"accuracy": model.score(test, truth), "predictions": model.predict(test), "labels": truth}


def perceptron(seed):
    (train, test), (labels, truth) = ([part[:1297], part[1297:]] for part in load_digits(return_X_y=True))
    model = MLPClassifier(hidden_layer_sizes=(8,), max_iter=5, random_state=seed).fit(train, labels)
    ss.record(predictions=model.predict(test), labels=truth)
    return {"accuracy": model.score(test, truth)}
