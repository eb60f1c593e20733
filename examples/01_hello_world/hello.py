"""Run with: python -m poet_hook run hello.py"""

import poet_hook


# poet: optimize_for=accuracy, after=20
def is_hot(celsius: float) -> bool:
    return celsius > 45.0


if __name__ == "__main__":
    print("is 35 hot?", is_hot(35.0))
    for celsius in (12, 50, 31, 44, 18, 38, 25, 33, 47, 41, 29, 36, 9, 40, 32, 22, 39, 34, 43, 27):
        result = poet_hook.call(is_hot, float(celsius))
        poet_hook.feedback(result, result.value == (celsius > 30))  # True: right, False: wrong
    poet_hook.learn(is_hot)
    print(poet_hook.versions_of(is_hot)[-1].source)
    print("is 35 hot?", is_hot(35.0))
