/* golden.h -- FNV-1a hashes of results, made by `make golden` in csrc/.
 *
 * AVX2, AVX-512 and NEON give the first two, the portable set the others, on every machine. A
 * change here changes the bits of everyone's results: say so in the changelog. */
GOLDEN("forward_identity",
       0x7de8e8ff2fad6b92, 0x2301de9034c9e930, 0xb570bfad6f538fc7, 0x2301de9034c9e930)
GOLDEN("forward_sigmoid",
       0x2e6015b715b7fa37, 0xab7b1bf54b7d4bb8, 0x2e6015b715b7fa37, 0xab7b1bf54b7d4bb8)
GOLDEN("forward_tanh",
       0x19691c3f13aa8b7c, 0x205e8ac2109b9123, 0xc27cf6287bed85c4, 0x205e8ac2109b9123)
GOLDEN("forward_relu",
       0x9fbaa79a89f09b0b, 0x9fd1030e87b6b21a, 0xd3210f9246261405, 0x9fd1030e87b6b21a)
GOLDEN("forward_softmax",
       0x9238215d695f8f13, 0x0615da6055a39f83, 0x924fac145ee44faf, 0xd92749ae6304cefd)
GOLDEN("map_exp",
       0x09c04e3e43a11f4a, 0x038fa679600df70e, 0x95be4388c94851c8, 0xabb41baaaf7fb212)
GOLDEN("map_log1p",
       0xd2a6dff40ba5d283, 0x54e858bbdb48ba60, 0xd2a6dff40ba5d283, 0x8c263329faed0d7c)
GOLDEN("map_sigmoid",
       0xe9c78ee65215cb1c, 0xfca920504dcdce03, 0x51f6f5a44dcf8591, 0xeba81c2667a77349)
GOLDEN("map_tanh",
       0x4b06f0d62d14d016, 0xbc1726deed78b7f8, 0x2cf5725e471ad215, 0x9ba5df41fdbbf433)
GOLDEN("softmax",
       0x2063252d828ae607, 0x37a86badc9962ccc, 0xa012a230606443dd, 0xa081675448eda4c4)
GOLDEN("backward_identity",
       0x84c78b0b0cf0a848, 0x774baad524cee574, 0x3fa90b9db243b1e1, 0x774baad524cee574)
GOLDEN("backward_sigmoid",
       0x47c060f6d8ea245c, 0xac11a63b5032937b, 0x796592d7c7e39686, 0x691ca439234b4959)
GOLDEN("backward_tanh",
       0xbc03f8b38f289a72, 0xe75a7b24ec9b0861, 0x8991d04dbfa81998, 0x64ddedecdf568273)
GOLDEN("backward_relu",
       0x5db1970a8246db66, 0x4a5beec4a35fa8e9, 0xf2175d88f7a4a5c1, 0x4a5beec4a35fa8e9)
GOLDEN("backward_softmax",
       0x6f6ef500dadb6a27, 0xc181dc7c24187a5e, 0x839544c3d64b8a0c, 0x2285e23fddbc0444)
GOLDEN("loss_softmax",
       0x63060f664592d75e, 0x1f93f29d6722aac8, 0x641f8f9a42f3945d, 0x8f58ad375183fd35)
GOLDEN("loss_sigmoid",
       0x966b88405a9c40ad, 0xdebe818c3efc26e2, 0x9e5a187608f3cd6a, 0xef868e4e2fc6f81c)
GOLDEN("loss_squared",
       0x03da066e226d2557, 0xc0f7941692ee2db1, 0x03da066e226d2557, 0xc0f7941692ee2db1)
GOLDEN("update_sgd",
       0x94642d7c79943121, 0xe470ded358eddd95, 0xa7824457399e0c30, 0xab5547683f3e8fce)
GOLDEN("update_momentum",
       0xebeb778b2ddf66de, 0x47efd8aa897f3427, 0xebeb778b2ddf66de, 0x47efd8aa897f3427)
GOLDEN("update_nesterov",
       0x16d3f1d6cf636a0a, 0x82b44a7f17476517, 0x16d3f1d6cf636a0a, 0x82b44a7f17476517)
GOLDEN("update_adam",
       0x8f8296de707de7de, 0xd21bfa1760d5ab86, 0xda34f75f723b8520, 0x1397beb342e187e2)
GOLDEN("train_adam",
       0xf85ce9266def6e62, 0x418c0de12a714bca, 0xac514f063a6884b8, 0x0881d2a64b01d7a8)
GOLDEN("train_nesterov",
       0x7dd5c5a0e95e2499, 0x974781fc2c1dd1c3, 0xc61a74dd3cd45b60, 0xcdddaa11210e6a7f)
GOLDEN("train_sgd",
       0x7d56d289490822c0, 0xef420e6bbc3d5f61, 0xab7d2082ce97a762, 0x3b5d9e07c89c63a1)
GOLDEN("gaussians_full",
       0xb05d4a37ce254170, 0xdb8591ff8869f474, 0x7fbc3e0e6028ba03, 0xd1ad9d93f4e96206)
GOLDEN("gaussians_far",
       0x76bc6a3dd4d2fd58, 0xa8b6167f8ce20a34, 0x114bfc9988fa6b56, 0x1294a871bfd942b0)
GOLDEN("gaussians_shared",
       0xba3f4751f7dc2c01, 0xa83262989fd9e64f, 0x225c7028b5649593, 0x6701a5fdedaec91c)
GOLDEN("gaussians_diag",
       0x1037c9e9486dcaf6, 0xfc0f4f8f472fc653, 0xf8e90716bd3abd17, 0xbcc76f83a470bbc3)
GOLDEN("moments_full",
       0x2501814359350e49, 0x5eb734e709b49715, 0xf353ffdd114ca28b, 0x18ad51a27fb4d864)
GOLDEN("moments_shared",
       0x472f545496b8f52c, 0x37ba8b6b624bc186, 0x418d42cada3fc740, 0x436fb4252912f422)
GOLDEN("moments_diag",
       0x91b5bb3989426d46, 0x00567e762876d42f, 0x1d783628eac218e1, 0x58e1ba9f64d75a18)
GOLDEN("linear_softmax",
       0x93d6547cb319c4ff, 0x3ed0c9e9e173ee55, 0xdd570dad9efa1bc2, 0x149e0f4f3dde6536)
GOLDEN("linear_sigmoid",
       0xa218bde4bdcccab1, 0xd424ccce5460fa43, 0x79d57b26741f8fca, 0xc736e578cbe5873f)
GOLDEN("linear_squared",
       0xd0cdc11199a6d73f, 0xdc2baa2cddc4034d, 0xc5b449f30fc360a9, 0x9f742bc88ceb9226)
GOLDEN("cholesky",
       0x4c2afbd8f1c84ae8, 0x4c2afbd8f1c84ae8, 0x33eba381188bb0ca, 0x33eba381188bb0ca)
GOLDEN("gaussian_paired",
       0xb956f2189ca9ad7a, 0xe56a49a50b709c66, 0xb20fe2e60727c785, 0xab6a18c2334f6194)
GOLDEN("log_sums",
       0xd2383072e6c69d62, 0x65fd9e0abdd76e39, 0xd91f1f58ac89a913, 0xb7fd0218f748ce53)
GOLDEN("moments_add",
       0xb21e13dbb832e108, 0x21e863efc9977edf, 0x6e5ae06666df3669, 0x170a0d95b9222b84)
GOLDEN("linear_targets",
       0x617bc77894b607c6, 0x058ff04a5e17ff26, 0x72beef1c739c9ef8, 0x87ad30316ae9bd0d)
GOLDEN("triangular",
       0x0dc1c0491da93ce3, 0x0dc1c0491da93ce3, 0x6bf67c3f9b4777a1, 0x6bf67c3f9b4777a1)
GOLDEN("train_wide",
       0x58e33751a866de90, 0x7bd4b8d354037b52, 0x4c08cdc0e096c94c, 0xeedab5a37ef1c399)
GOLDEN("network_columns",
       0xccb25e26f3c2ac40, 0x615331fda3dab32d, 0x3a7ee272f4e86613, 0x817008a104f0c75a)
GOLDEN("loss_poisson",
       0xbfbb6f397a0e3504, 0x7790cb05e33029f8, 0x313197b604060a0e, 0xe8c0736f24953eca)
GOLDEN("loss_huber",
       0x7fd4fa55d153897c, 0x01ea58e4c2c89eb8, 0x7fd4fa55d153897c, 0x01ea58e4c2c89eb8)
GOLDEN("loss_absolute",
       0x6838e30af49b6ef9, 0x99dc7b2f5a2a3b7d, 0x6838e30af49b6ef9, 0x99dc7b2f5a2a3b7d)
GOLDEN("train_poisson",
       0xe8a87c9c8dbbd933, 0x2a0888e4e07c6cfe, 0xf04df4c9513ddff7, 0x758e640d6368d43a)
GOLDEN("train_huber",
       0x9ad07a6de14e1969, 0xf787cd351228349d, 0x5c75b3faea851092, 0x10e3ac63945d52c8)
GOLDEN("train_dropout",
       0x608e1acd35e07060, 0x1f913a762a31ee64, 0x35c50d5fc97eb245, 0xf6afe137aeb0c9b0)
