# ruff: noqa: E501
"""Roles of the parameters of well-known models, by the names that their parts have there."""

import pytest

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.roles import NodeInfo, of_parameter, sentence

#: path.parameter, the classes of the modules that lead to it (the last owns it), shape, the role
GPT2 = """
transformer.wte.weight                    GPT2Model Embedding                     50257x768  embedding
transformer.wpe.weight                    GPT2Model Embedding                     1024x768   embedding_position
transformer.h.0.ln_1.weight               GPT2Model ModuleList GPT2Block LayerNorm 768       norm_scale_layer
transformer.h.0.attn.c_attn.weight        GPT2Model ModuleList GPT2Block GPT2Attention Conv1D 768x2304 attention_qkv
transformer.h.0.attn.c_attn.bias          GPT2Model ModuleList GPT2Block GPT2Attention Conv1D 2304 bias_of
transformer.h.0.attn.c_proj.weight        GPT2Model ModuleList GPT2Block GPT2Attention Conv1D 768x768 attention_output
transformer.h.0.mlp.c_fc.weight           GPT2Model ModuleList GPT2Block GPT2MLP Conv1D 768x3072 feed_forward_up
transformer.h.0.mlp.c_proj.weight         GPT2Model ModuleList GPT2Block GPT2MLP Conv1D 3072x768 feed_forward_down
transformer.ln_f.bias                     GPT2Model LayerNorm                     768        norm_shift_layer
lm_head.weight                            Linear                                  50257x768  head
"""
NANO_GPT = """
transformer.h.3.attn.c_attn.weight        ModuleDict ModuleList Block CausalSelfAttention Linear 2304x768 attention_qkv
transformer.h.3.attn.c_proj.weight        ModuleDict ModuleList Block CausalSelfAttention Linear 768x768 attention_output
transformer.h.3.mlp.c_proj.weight         ModuleDict ModuleList Block MLP Linear  768x3072   feed_forward_down
transformer.h.3.ln_1.weight               ModuleDict ModuleList Block LayerNorm   768        norm_scale_layer
"""
MIN_GPT = """
tok_emb.weight                            Embedding                               65x512     embedding
pos_emb                                   GPT                                     1x128x512  position_learned
blocks.0.attn.key.weight                  Sequential Block CausalSelfAttention Linear 512x512 attention_key
blocks.0.attn.query.weight                Sequential Block CausalSelfAttention Linear 512x512 attention_query
blocks.0.attn.value.weight                Sequential Block CausalSelfAttention Linear 512x512 attention_value
blocks.0.attn.proj.weight                 Sequential Block CausalSelfAttention Linear 512x512 attention_output
blocks.0.mlp.0.weight                     Sequential Block Sequential Linear      2048x512   feed_forward_up
blocks.0.mlp.2.weight                     Sequential Block Sequential Linear      512x2048   feed_forward_down
head.weight                               Linear                                  65x512     head
"""
LECTURE_GPT = """
token_embedding_table.weight              Embedding                               65x384     embedding
position_embedding_table.weight           Embedding                               256x384    embedding_position
blocks.0.sa.heads.0.key.weight            Sequential Block MultiHeadAttention ModuleList Head Linear 64x384 attention_key
blocks.0.sa.heads.0.query.weight          Sequential Block MultiHeadAttention ModuleList Head Linear 64x384 attention_query
blocks.0.sa.proj.weight                   Sequential Block MultiHeadAttention Linear 384x384 attention_output
blocks.0.ffwd.net.0.weight                Sequential Block FeedFoward Sequential Linear 1536x384 feed_forward_up
blocks.0.ffwd.net.2.weight                Sequential Block FeedFoward Sequential Linear 384x1536 feed_forward_down
"""
BERT = """
bert.embeddings.word_embeddings.weight        BertModel BertEmbeddings Embedding  30522x768  embedding
bert.embeddings.position_embeddings.weight    BertModel BertEmbeddings Embedding  512x768    embedding_position
bert.embeddings.token_type_embeddings.weight  BertModel BertEmbeddings Embedding  2x768      embedding_segment
bert.embeddings.LayerNorm.weight              BertModel BertEmbeddings LayerNorm  768        norm_scale_layer
bert.encoder.layer.0.attention.self.query.weight BertModel BertEncoder ModuleList BertLayer BertAttention BertSelfAttention Linear 768x768 attention_query
bert.encoder.layer.0.attention.self.key.bias  BertModel BertEncoder ModuleList BertLayer BertAttention BertSelfAttention Linear 768 bias_of
bert.encoder.layer.0.attention.self.value.weight BertModel BertEncoder ModuleList BertLayer BertAttention BertSelfAttention Linear 768x768 attention_value
bert.encoder.layer.0.attention.output.dense.weight BertModel BertEncoder ModuleList BertLayer BertAttention BertSelfOutput Linear 768x768 attention_output
bert.encoder.layer.0.attention.output.LayerNorm.bias BertModel BertEncoder ModuleList BertLayer BertAttention BertSelfOutput LayerNorm 768 norm_shift_layer
bert.encoder.layer.0.intermediate.dense.weight BertModel BertEncoder ModuleList BertLayer BertIntermediate Linear 3072x768 feed_forward_up
bert.encoder.layer.0.output.dense.weight      BertModel BertEncoder ModuleList BertLayer BertOutput Linear 768x3072 feed_forward_down
bert.pooler.dense.weight                      BertModel BertPooler Linear         768x768    linear
cls.predictions.transform.dense.weight        BertOnlyMLMHead BertLMPredictionHead BertPredictionHeadTransform Linear 768x768 linear
cls.predictions.decoder.weight                BertOnlyMLMHead BertLMPredictionHead Linear 30522x768 head
cls.predictions.bias                          BertOnlyMLMHead BertLMPredictionHead 30522     bias
classifier.weight                             Linear                              2x768      head
"""
DISTILBERT = """
distilbert.transformer.layer.0.attention.q_lin.weight DistilBertModel Transformer ModuleList TransformerBlock MultiHeadSelfAttention Linear 768x768 attention_query
distilbert.transformer.layer.0.attention.out_lin.weight DistilBertModel Transformer ModuleList TransformerBlock MultiHeadSelfAttention Linear 768x768 attention_output
distilbert.transformer.layer.0.ffn.lin1.weight DistilBertModel Transformer ModuleList TransformerBlock FFN Linear 3072x768 feed_forward_up
distilbert.transformer.layer.0.ffn.lin2.weight DistilBertModel Transformer ModuleList TransformerBlock FFN Linear 768x3072 feed_forward_down
"""
LLAMA = """
model.embed_tokens.weight                 LlamaModel Embedding                    32000x4096 embedding
model.layers.0.self_attn.q_proj.weight    LlamaModel ModuleList LlamaDecoderLayer LlamaAttention Linear 4096x4096 attention_query
model.layers.0.self_attn.k_proj.weight    LlamaModel ModuleList LlamaDecoderLayer LlamaAttention Linear 1024x4096 attention_key
model.layers.0.self_attn.v_proj.weight    LlamaModel ModuleList LlamaDecoderLayer LlamaAttention Linear 1024x4096 attention_value
model.layers.0.self_attn.o_proj.weight    LlamaModel ModuleList LlamaDecoderLayer LlamaAttention Linear 4096x4096 attention_output
model.layers.0.mlp.gate_proj.weight       LlamaModel ModuleList LlamaDecoderLayer LlamaMLP Linear 11008x4096 feed_forward_gate
model.layers.0.mlp.up_proj.weight         LlamaModel ModuleList LlamaDecoderLayer LlamaMLP Linear 11008x4096 feed_forward_up
model.layers.0.mlp.down_proj.weight       LlamaModel ModuleList LlamaDecoderLayer LlamaMLP Linear 4096x11008 feed_forward_down
model.layers.0.input_layernorm.weight     LlamaModel ModuleList LlamaDecoderLayer LlamaRMSNorm 4096 norm_scale_rms
model.norm.weight                         LlamaModel LlamaRMSNorm                 4096       norm_scale_rms
lm_head.weight                            Linear                                  32000x4096 head
"""
T5 = """
encoder.block.0.layer.0.SelfAttention.q.weight T5Stack ModuleList T5Block ModuleList T5LayerSelfAttention T5Attention Linear 512x512 attention_query
encoder.block.0.layer.0.SelfAttention.o.weight T5Stack ModuleList T5Block ModuleList T5LayerSelfAttention T5Attention Linear 512x512 attention_output
encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight T5Stack ModuleList T5Block ModuleList T5LayerSelfAttention T5Attention Embedding 32x8 embedding_relative
encoder.block.0.layer.1.DenseReluDense.wi.weight T5Stack ModuleList T5Block ModuleList T5LayerFF T5DenseActDense Linear 2048x512 feed_forward_up
encoder.block.0.layer.1.DenseReluDense.wo.weight T5Stack ModuleList T5Block ModuleList T5LayerFF T5DenseActDense Linear 512x2048 feed_forward_down
encoder.block.0.layer.0.layer_norm.weight T5Stack ModuleList T5Block ModuleList T5LayerSelfAttention T5LayerNorm 512 norm_scale_rms
"""
NEOX_OPT_BART = """
gpt_neox.embed_in.weight                  GPTNeoXModel Embedding                  50432x512  embedding
gpt_neox.layers.0.attention.query_key_value.weight GPTNeoXModel ModuleList GPTNeoXLayer GPTNeoXAttention Linear 1536x512 attention_qkv
gpt_neox.layers.0.attention.dense.weight  GPTNeoXModel ModuleList GPTNeoXLayer GPTNeoXAttention Linear 512x512 attention_output
gpt_neox.layers.0.mlp.dense_h_to_4h.weight GPTNeoXModel ModuleList GPTNeoXLayer GPTNeoXMLP Linear 2048x512 feed_forward_up
gpt_neox.layers.0.mlp.dense_4h_to_h.weight GPTNeoXModel ModuleList GPTNeoXLayer GPTNeoXMLP Linear 512x2048 feed_forward_down
embed_out.weight                          Linear                                  50432x512  head
model.decoder.layers.0.fc1.weight         OPTModel OPTDecoder ModuleList OPTDecoderLayer Linear 3072x768 feed_forward_up
model.decoder.layers.0.fc2.weight         OPTModel OPTDecoder ModuleList OPTDecoderLayer Linear 768x3072 feed_forward_down
model.encoder.layers.0.self_attn.out_proj.weight BartModel BartEncoder ModuleList BartEncoderLayer BartAttention Linear 768x768 attention_output
model.encoder.embed_positions.weight      BartModel BartEncoder BartLearnedPositionalEmbedding 1026x768 embedding_position
"""
TIMM_VIT = """
cls_token                                 VisionTransformer                       1x1x192    class_token
pos_embed                                 VisionTransformer                       1x197x192  position_learned
patch_embed.proj.weight                   PatchEmbed Conv2d                       192x3x16x16 filters
blocks.0.norm1.weight                     Sequential Block LayerNorm              192        norm_scale_layer
blocks.0.attn.qkv.weight                  Sequential Block Attention Linear       576x192    attention_qkv
blocks.0.attn.proj.weight                 Sequential Block Attention Linear       192x192    attention_output
blocks.0.ls1.gamma                        Sequential Block LayerScale             192        layer_scale
blocks.0.mlp.fc1.weight                   Sequential Block Mlp Linear             768x192    feed_forward_up
blocks.0.mlp.fc2.bias                     Sequential Block Mlp Linear             192        bias_of
head.weight                               Linear                                  1000x192   head
"""
TORCHVISION_VIT = """
class_token                               VisionTransformer                       1x1x768    class_token
conv_proj.weight                          Conv2d                                  768x3x16x16 filters
encoder.pos_embedding                     Encoder                                 1x197x768  position_learned
encoder.layers.encoder_layer_0.self_attention.in_proj_weight Encoder Sequential EncoderBlock MultiheadAttention 2304x768 attention_qkv
encoder.layers.encoder_layer_0.self_attention.out_proj.weight Encoder Sequential EncoderBlock MultiheadAttention NonDynamicallyQuantizableLinear 768x768 attention_output
encoder.layers.encoder_layer_0.mlp.0.weight Encoder Sequential EncoderBlock MLPBlock Linear 3072x768 feed_forward_up
encoder.layers.encoder_layer_0.mlp.3.weight Encoder Sequential EncoderBlock MLPBlock Linear 768x3072 feed_forward_down
heads.head.weight                         Sequential Linear                       1000x768   head
"""
RESNET = """
conv1.weight                              Conv2d                                  64x3x7x7   filters
bn1.weight                                BatchNorm2d                             64         norm_scale_batch
layer1.0.conv2.weight                     Sequential BasicBlock Conv2d            64x64x3x3  filters
layer1.0.bn2.bias                         Sequential BasicBlock BatchNorm2d       64         norm_shift_batch
layer2.0.downsample.0.weight              Sequential BasicBlock Sequential Conv2d 128x64x1x1 filters
layer2.0.downsample.1.weight              Sequential BasicBlock Sequential BatchNorm2d 128   norm_scale_batch
fc.weight                                 Linear                                  1000x512   head
fc.bias                                   Linear                                  1000       bias_of
"""
ANNOTATED_TRANSFORMER = """
encoder.layers.0.self_attn.linears.0.weight Encoder ModuleList EncoderLayer MultiHeadedAttention ModuleList Linear 512x512 attention_query
encoder.layers.0.self_attn.linears.1.weight Encoder ModuleList EncoderLayer MultiHeadedAttention ModuleList Linear 512x512 attention_key
encoder.layers.0.self_attn.linears.2.weight Encoder ModuleList EncoderLayer MultiHeadedAttention ModuleList Linear 512x512 attention_value
encoder.layers.0.self_attn.linears.3.weight Encoder ModuleList EncoderLayer MultiHeadedAttention ModuleList Linear 512x512 attention_output
encoder.layers.0.feed_forward.w_1.weight  Encoder ModuleList EncoderLayer PositionwiseFeedForward Linear 2048x512 feed_forward_up
encoder.layers.0.feed_forward.w_2.weight  Encoder ModuleList EncoderLayer PositionwiseFeedForward Linear 512x2048 feed_forward_down
encoder.layers.0.sublayer.0.norm.a_2      Encoder ModuleList EncoderLayer ModuleList SublayerConnection LayerNorm 512 norm_scale_layer
encoder.layers.0.sublayer.0.norm.b_2      Encoder ModuleList EncoderLayer ModuleList SublayerConnection LayerNorm 512 norm_shift_layer
src_embed.0.lut.weight                    Sequential Embeddings Embedding         11x512     embedding
generator.proj.weight                     Generator Linear                        11x512     head
"""
OUR_MAIN_JOB = """
token.weight                              Embedding                               96x96      embedding
position.weight                           Embedding                               64x96      embedding_position
blocks.0.attention.qkv.weight             ModuleList Block CausalSelfAttention Linear 288x96 attention_qkv
blocks.0.attention.out.weight             ModuleList Block CausalSelfAttention Linear 96x96  attention_output
blocks.0.feed_forward.0.weight            ModuleList Block Sequential Linear      384x96     feed_forward_up
blocks.0.feed_forward.2.weight            ModuleList Block Sequential Linear      96x384     feed_forward_down
head.weight                               Linear                                  96x96      head
"""
PLAIN = """
0.weight                                  Linear                                  128x784    linear
2.bias                                    Linear                                  10         bias_of
net.0.weight                              Sequential Linear                       64x2       linear
encoder.0.weight                          Sequential Linear                       64x784     linear
decoder.2.weight                          Sequential Linear                       784x64     linear
logit_scale                               CLIP                                    1          temperature
scale                                     Model                                   1          parameter
"""
LISTS = {
    "GPT-2": GPT2, "nanoGPT": NANO_GPT, "minGPT": MIN_GPT, "lecture": LECTURE_GPT, "BERT": BERT, "DistilBERT": DISTILBERT, "LLaMA": LLAMA,
    "T5": T5, "NeoX, OPT, BART": NEOX_OPT_BART, "timm ViT": TIMM_VIT, "torchvision ViT": TORCHVISION_VIT, "ResNet": RESNET,
    "annotated transformer": ANNOTATED_TRANSFORMER, "main job": OUR_MAIN_JOB, "plain": PLAIN,
}  # fmt: skip
BUFFERS = """
transformer.h.0.attn.bias                 Block Attention                         1x1x1024x1024 mask
blocks.0.sa.heads.0.tril                  MultiHeadAttention Head                 256x256    mask
model.layers.0.self_attn.rotary_emb.inv_freq LlamaAttention LlamaRotaryEmbedding  64         rotary
src_embed.1.pe                            Sequential PositionalEncoding           1x5000x512 position_fixed
bert.embeddings.position_ids              BertModel BertEmbeddings                1x512      buffer
bn1.running_mean                          BatchNorm2d                             64         running_mean
"""  # fmt: skip


def parsed(text):
    for line in text.strip().splitlines():
        path, *classes, shape, role = line.split()
        scope, _, name = path.rpartition(".")
        yield path, scope, name, ("Model", *classes), tuple(map(int, shape.split("x"))), role


def info(kind, scope, name, classes, shape):
    return NodeInfo("var", "leaf", kind, "forward", scope, classes, name, shape, initialiser="normal_(mean=0, std=0.02)")


@pytest.mark.parametrize("which", LISTS)
def test_roles_by_name(which):
    found = {path: of_parameter(info("parameter", *rest)) for path, *rest, _ in parsed(LISTS[which])}
    assert {path: role and role.key for path, role in found.items()} == {path: expected for path, *_, expected in parsed(LISTS[which])}
    for lang in catalog.languages():
        for path, role in found.items():
            said = sentence(role, lang)
            assert "{" not in said
            assert "normal_(mean=0, std=0.02)" in said
            scope = path.rpartition(".")[0]
            assert not scope or scope in said


def test_buffers_by_name():
    found = {path: of_parameter(info("buffer", *rest)).key for path, *rest, _ in parsed(BUFFERS)}
    assert found == {path: expected for path, *_, expected in parsed(BUFFERS)}


def test_widths_of_both_ways_to_store_a_matrix():
    a = of_parameter(info("parameter", "h.0.mlp.c_fc", "weight", ("M", "H", "Block", "MLP", "Conv1D"), (768, 3072)))
    b = of_parameter(info("parameter", "h.0.mlp.c_fc", "weight", ("M", "H", "Block", "MLP", "Linear"), (3072, 768)))
    assert (a.fields["inputs"], a.fields["outputs"]) == (b.fields["inputs"], b.fields["outputs"]) == ("768", "3072")
