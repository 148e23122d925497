"""The CPU features that iced-x86 names: which of them code is compared by, under which name, and which are left out."""

from __future__ import annotations

from collections.abc import Mapping

#: iced's CPUID feature to archspec's name, or where archspec has none to iced's in lower case: what a user program can
#: execute on some processors and what is no instruction on others.
FEATURES: Mapping[str, str] = {
    "ADX": "adx",
    "AES": "aes",
    "AESKLE": "aeskle",
    "AMX_BF16": "amx_bf16",
    "AMX_COMPLEX": "amx_complex",
    "AMX_FP16": "amx_fp16",
    "AMX_INT8": "amx_int8",
    "AMX_TILE": "amx_tile",
    "AVX": "avx",
    "AVX2": "avx2",
    "AVX512BW": "avx512bw",
    "AVX512CD": "avx512cd",
    "AVX512DQ": "avx512dq",
    "AVX512ER": "avx512er",
    "AVX512F": "avx512f",
    "AVX512PF": "avx512pf",
    "AVX512VL": "avx512vl",
    "AVX512_4FMAPS": "avx512_4fmaps",
    "AVX512_4VNNIW": "avx512_4vnniw",
    "AVX512_BF16": "avx512_bf16",
    "AVX512_BITALG": "avx512_bitalg",
    "AVX512_FP16": "avx512_fp16",
    "AVX512_IFMA": "avx512ifma",
    "AVX512_VBMI": "avx512vbmi",
    "AVX512_VBMI2": "avx512_vbmi2",
    "AVX512_VNNI": "avx512_vnni",
    "AVX512_VP2INTERSECT": "avx512_vp2intersect",
    "AVX512_VPOPCNTDQ": "avx512_vpopcntdq",
    "AVX_IFMA": "avx_ifma",
    "AVX_NE_CONVERT": "avx_ne_convert",
    "AVX_VNNI": "avx_vnni",
    "AVX_VNNI_INT16": "avx_vnni_int16",
    "AVX_VNNI_INT8": "avx_vnni_int8",
    "BMI1": "bmi1",
    "BMI2": "bmi2",
    "CLFLUSHOPT": "clflushopt",
    "CLWB": "clwb",
    "CLZERO": "clzero",
    "CMPCCXADD": "cmpccxadd",
    "D3NOW": "3dnow",
    "D3NOWEXT": "3dnowext",
    "ENQCMD": "enqcmd",
    "F16C": "f16c",
    "FMA": "fma",
    "FMA4": "fma4",
    "FSGSBASE": "fsgsbase",
    "GFNI": "gfni",
    "LWP": "lwp",
    "LZCNT": "abm",
    "MCOMMIT": "mcommit",
    "MONITORX": "monitorx",
    "MOVBE": "movbe",
    "MOVDIR64B": "movdir64b",
    "MOVDIRI": "movdiri",
    "PADLOCK_ACE": "padlock_ace",
    "PADLOCK_GMI": "padlock_gmi",
    "PADLOCK_PHE": "padlock_phe",
    "PADLOCK_PMM": "padlock_pmm",
    "PADLOCK_RNG": "padlock_rng",
    "PADLOCK_UNDOC": "padlock_undoc",
    "PCLMULQDQ": "pclmulqdq",
    "PCOMMIT": "pcommit",
    "POPCNT": "popcnt",
    "PTWRITE": "ptwrite",
    "RAO_INT": "rao_int",
    "RDPID": "rdpid",
    "RDPRU": "rdpru",
    "RDRAND": "rdrand",
    "RDSEED": "rdseed",
    "SERIALIZE": "serialize",
    "SHA": "sha_ni",
    "SHA512": "sha512",
    "SM3": "sm3",
    "SM4": "sm4",
    "SSE3": "sse3",
    "SSE4A": "sse4a",
    "SSE4_1": "sse4_1",
    "SSE4_2": "sse4_2",
    "SSSE3": "ssse3",
    "TBM": "tbm",
    "TSXLDTRK": "tsxldtrk",
    "UINTR": "uintr",
    "VAES": "vaes",
    "VPCLMULQDQ": "vpclmulqdq",
    "WAITPKG": "waitpkg",
    "WIDE_KL": "wide_kl",
    "XOP": "xop",
}
#: The others by the reason why they are left out. Each feature of iced is here or there: none is dropped unseen.
_LEFT_OUT = {
    "every x86-64 processor has it": (
        "CLFSH CMOV CPUID CX8 FPU FPU287 FPU387 FXSR INTEL186 INTEL286 INTEL386 INTEL486 INTEL8086 MMX SEP SSE SSE2 "
        "SYSCALL TSC X64"
    ),
    "every x86-64 processor since 2008 has it, and archspec lists it for few or none": "CMPXCHG16B RDTSCP",
    "where it is not known it runs as an older instruction or none, or behind one (CET_SS) that then finds nothing": (
        "CET_IBT CET_SS CLDEMOTE HLE MPX MULTIBYTENOP PAUSE PREFETCHITI PREFETCHW PREFETCHWT1"
    ),
    "the loader of each process saves registers by it, after it asked": "XSAVE XSAVEC XSAVEOPT",
    "firmware turns it off, so that libraries keep it behind flags; no compiler emits it on its own": "HLE_OR_RTM RTM",
    "works only after the system gave a key, an enclave or a counter": "PKU RDPMC SGX1",
    "belongs to kernels, hypervisors and firmware": (
        "FRED HRESET INVEPT INVLPGB INVPCID INVVPID KL LKGS MONITOR MSR MSRLIST OSS PCONFIG RMPQUERY SEV_ES SEV_SNP "
        "SKINIT SKINIT_OR_SVM SMAP SMM SMX SVM TDX TSE UDBG VMX WBNOINVD WRMSRNS XSAVES"
    ),
    "no 64-bit code holds it as iced decodes that: older or other processors": (
        "CENTAUR_AIS CL1INVMB CYRIX_D3NOW CYRIX_DDI CYRIX_DMI CYRIX_EMMI CYRIX_FPU CYRIX_SHR CYRIX_SMINT "
        "CYRIX_SMINT_0F7E CYRIX_SMM FPU287XL_ONLY FPU387SL_ONLY IA64 INTEL286_ONLY INTEL386_A0_ONLY INTEL386_ONLY "
        "INTEL486_A_ONLY INTEL8086_ONLY KNC MOV_TR UMOV"
    ),
}
LEFT_OUT: Mapping[str, str] = {name: why for why, names in _LEFT_OUT.items() for name in names.split()}
