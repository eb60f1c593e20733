"""A name -> whether generated code may use it: what is known to compute its result from its arguments and nothing else.

What is not here is not allowed. `math.__loader__`, `statistics.sys` and `numpy.os` are ways out of modules that are
harmless themselves, so modules have lists too.
"""

from __future__ import annotations

TYPES = frozenset("bool bytes complex dict float frozenset int list set str tuple".split())
ERRORS = frozenset(
    """
    ArithmeticError AssertionError AttributeError Exception FloatingPointError IndexError KeyError LookupError
    NotImplementedError OverflowError RuntimeError StopIteration TypeError UnicodeDecodeError UnicodeEncodeError
    UnicodeError ValueError ZeroDivisionError
    """.split()
)
BUILTINS = (
    TYPES
    | ERRORS
    | frozenset(
        """
        Ellipsis NotImplemented abs all any ascii bin callable chr divmod enumerate filter format hex isinstance
        issubclass iter len map max min next oct ord pow range repr reversed round slice sorted sum zip
        """.split()
    )
)
GUARDED = frozenset({"format", "iter", "pow", "range"})  # only called, and their arguments looked at

MODULES: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "math": """acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp
            exp2 expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm
            ldexp lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt
            sumprod tan tanh tau trunc ulp""",
        "cmath": """acos acosh asin asinh atan atanh cos cosh e exp inf isclose isfinite isinf isnan log log10 nan phase
            pi polar rect sin sinh sqrt tan tanh tau""",
        "statistics": """NormalDist StatisticsError correlation covariance fmean geometric_mean harmonic_mean
            linear_regression mean median median_grouped median_high median_low mode multimode pstdev pvariance
            quantiles stdev variance""",
        "itertools": """accumulate batched chain combinations combinations_with_replacement compress dropwhile
            filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest""",
        "functools": "cmp_to_key reduce",
        "collections": "Counter OrderedDict defaultdict deque",
        "operator": """abs add and_ concat contains countOf eq floordiv ge gt indexOf inv invert is_ is_not le lt mod
            mul ne neg not_ or_ pos sub truediv truth xor""",
        "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
        "heapq": "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest",
        "decimal": """Decimal DivisionByZero InvalidOperation ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN
            ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP""",
        "fractions": "Fraction",
        "datetime": "UTC date datetime time timedelta timezone",
        "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation "
        "whitespace",
        "re": "A ASCII DOTALL I IGNORECASE M MULTILINE S X escape findall finditer fullmatch match search split sub",
        "unicodedata": "bidirectional category combining decimal digit east_asian_width name normalize numeric",
        "textwrap": "dedent fill indent shorten wrap",
        "copy": "copy deepcopy",
        "json": "JSONDecodeError dumps loads",
        "typing": """Any Callable Dict Final Iterable Iterator List Literal Mapping Optional Sequence Set Tuple Union
            cast""",
        "collections.abc": "Callable Collection Iterable Iterator Mapping MutableMapping Sequence Set Sized",
        "numpy": """abs absolute add all allclose amax amin any arange arccos arcsin arctan arctan2 argmax argmin
            argpartition argsort argwhere around array array_equal asarray atleast_1d atleast_2d average bincount bool_
            cbrt ceil clip column_stack concatenate convolve copy copysign corrcoef correlate cos cosh count_nonzero cov
            cross cumprod cumsum deg2rad degrees diff digitize divide dot e ediff1d equal exp exp2 expand_dims expm1 eye
            fabs fft flatnonzero flip float32 float64 floor floor_divide fmax fmin full full_like gradient greater
            greater_equal heaviside histogram hstack hypot identity inf inner int32 int64 interp intersect1d invert
            isclose isfinite isin isinf isnan isneginf isposinf isreal isscalar less less_equal linalg linspace log
            log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor logspace matmul max maximum mean
            median min minimum mod multiply nan nan_to_num nanargmax nanargmin nancumsum nanmax nanmean nanmedian nanmin
            nanpercentile nanprod nanquantile nanstd nansum nanvar ndarray ndim negative newaxis nonzero not_equal ones
            ones_like outer partition percentile pi polyfit polyval power prod ptp quantile rad2deg radians ravel
            reciprocal remainder repeat reshape rint roll round searchsorted select setdiff1d shape sign signbit sin
            sinh size sort split sqrt square squeeze stack std subtract sum take tan tanh tile trace transpose trapezoid
            trapz tri tril triu true_divide trunc union1d unique unwrap var vdot vstack where zeros zeros_like""",
        "numpy.linalg": "cholesky cond det eig eigh eigvals eigvalsh inv lstsq matrix_rank norm pinv qr solve svd",
        "numpy.fft": "fft fftfreq ifft irfft rfft rfftfreq",
        "pandas": """DataFrame NA NaT Series Timedelta Timestamp concat cut date_range isna isnull notna notnull qcut
            to_datetime to_numeric to_timedelta""",
        "scipy": "stats",
        "scipy.stats": """entropy gmean hmean iqr kurtosis ks_2samp ks_1samp linregress mannwhitneyu
            median_abs_deviation mode norm pearsonr percentileofscore rankdata sem sigmaclip skew spearmanr theilslopes
            trim_mean ttest_1samp ttest_ind wasserstein_distance zscore""",
        "scipy.stats.norm": "cdf isf logcdf logpdf pdf ppf sf",
    }.items()
}

READING = frozenset(  # methods that change nothing
    """
    abs all any argmax argmin argsort as_integer_ratio as_tuple assign astype between bfill bit_count bit_length
    capitalize casefold cdf center clip conj conjugate copy corr count cov cummax cummin cumprod cumsum date decode
    describe diagonal diff difference dot drop drop_duplicates dropna duplicated encode endswith ewm expanding
    expandtabs ffill fillna find findall finditer first flatten format from_bytes fromhex fromisoformat fromkeys
    fromordinal fromtimestamp fullmatch get group groupby groupdict groups head hex idxmax idxmin index intersection
    inv_cdf is_finite is_infinite is_integer is_nan is_signed is_zero isalnum isalpha isascii isdecimal isdigit
    isdisjoint isidentifier isin islower isna isnull isnumeric isocalendar isoformat isoweekday isprintable isspace
    issubset issuperset istitle isupper item items iterrows itertuples join keys kurt last limit_denominator ljust
    ln log10 lower lstrip maketrans match max mean median merge min mode most_common ndim nlargest nonzero normalize
    notna notnull nsmallest nunique overlap pct_change pdf ppf prod ptp quantile quantiles quantize rank ravel
    removeprefix removesuffix rename repeat replace resample reset_index reshape rfind rindex rjust rolling round
    rpartition rsplit rstrip search searchsorted sem set_index shift skew sort_index sort_values span split
    splitlines sqrt squeeze start startswith std stdev strftime strip strptime sub sum swapaxes swapcase
    symmetric_difference tail take time timestamp timetuple title to_bytes to_dict to_frame to_integral_value
    to_list to_numpy tolist toordinal total_seconds trace translate transpose union unique upper utcoffset
    value_counts values var variance weekday where zfill zscore
    """.split()
)
CHANGING = frozenset(  # methods that change what they are called on
    """
    add append appendleft clear difference_update discard extend extendleft fill insert intersection_update
    move_to_end partition pop popitem popleft put remove reverse rotate setdefault sort subtract
    symmetric_difference_update update
    """.split()
)
DATA = frozenset(  # attributes that are no methods
    """
    T args columns day days denominator dt empty hour iloc imag index intercept loc mean median microsecond microseconds
    minute month ndim numerator pvalue real second seconds shape size slope start statistic stdev step stop str tzinfo
    values variance year
    """.split()
)
CHANGES_FIRST = frozenset(  # functions that change their first argument
    """
    bisect.insort bisect.insort_left bisect.insort_right heapq.heapify heapq.heappop heapq.heappush heapq.heappushpop
    heapq.heapreplace
    """.split()
)
ONE_ARRAY = frozenset(  # functions of numpy whose second positional argument is written to
    """
    abs absolute arccos arcsin arctan cbrt ceil cos cosh deg2rad degrees exp exp2 expm1 fabs floor isfinite isinf isnan
    log log10 log1p log2 logical_not negative rad2deg radians reciprocal rint sign signbit sin sinh sqrt square tan
    tanh trunc
    """.split()
)
MORE_ARRAYS = frozenset(  # those that write to none, or to their fourth at the earliest
    """
    allclose arange argpartition array average bincount clip convolve corrcoef correlate cov diff digitize eye full
    full_like gradient histogram hstack interp intersect1d isclose isin linspace logspace mean nan_to_num nanmean
    nanmedian nanpercentile nanprod nanquantile nanstd nansum nanvar percentile polyfit prod quantile repeat
    searchsorted select setdiff1d sort split std sum take trace trapezoid trapz union1d unique unwrap var where
    """.split()
)
OF_TYPES = frozenset(  # what may be taken from a builtin type itself: str.lower, dict.fromkeys
    """
    capitalize casefold fromhex fromkeys from_bytes isalnum isalpha isdigit islower isspace isupper lower lstrip
    maketrans rstrip strip title upper
    """.split()
)
SIZED = frozenset(  # what makes something as large as a number among its arguments
    """
    bytes center expandtabs ljust operator.mul rjust to_bytes zfill numpy.arange numpy.eye numpy.full numpy.identity
    numpy.linspace numpy.logspace numpy.ones numpy.repeat numpy.tile numpy.tri numpy.zeros statistics.quantiles
    itertools.repeat itertools.islice repeat reshape numpy.reshape quantiles pandas.date_range
    """.split()
)
VIEWS = frozenset(  # methods and functions whose result may share memory with what they are given
    """
    T asarray astype atleast_1d atleast_2d diagonal expand_dims flip get iat iloc items loc at next pop popitem popleft
    ravel real imag reshape setdefault split squeeze swapaxes take to_numpy transpose values where clip fillna
    """.split()
)
